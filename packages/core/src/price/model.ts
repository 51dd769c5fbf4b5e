/** Tools that a provider runs itself, each billed by its uses and not by tokens. */
export const toolClasses = [
  'webSearches',
  'storageSearches',
  'imageCalls',
  'codeSessions',
] as const;

/**
 * What a price is made of. Classes name what a provider counts apart; a class without a rate of its own is billed at the
 * rate of the class that it is part of (see `cost.ts`).
 */
export const rateClasses = [
  'input',
  'inputAudio',
  'inputImage',
  'inputVideo',
  'cacheRead',
  'cacheReadAudio',
  'cacheReadImage',
  'cacheWrite',
  'cacheWriteHour',
  'output',
  'outputAudio',
  'outputImage',
  'outputVideo',
  'reasoning',
  ...toolClasses,
] as const;

export type RateClass = (typeof rateClasses)[number];

/** Integer nano-USD per million tokens (or per million searches and other uses of a tool): 2.50 USD per million tokens is 2,500,000,000. */
export type Rates = Readonly<Partial<Record<RateClass, number>>>;

/** A million USD per million: far above any price on the market, and a product with any count still fits a bigint's first words. */
export const rateMax = 1_000_000_000_000_000;

/**
 * Rates by the length of the prompt. Above `aboveTokens` input tokens (cached ones included) the rates of that step hold
 * for the *whole* request: providers do not bill the first part at the lower step.
 */
export interface ModelPrice {
  readonly rates: Rates;
  /** Rising `aboveTokens`; each step is complete and in no class cheaper than the one before. */
  readonly steps?: readonly PriceStep[];
}

export interface PriceStep {
  readonly aboveTokens: number;
  readonly rates: Rates;
}

/** When a price holds. The last period in the list that covers a moment counts; one without a condition always does. */
export interface PricePeriod {
  /** From the start of this day, UTC: `YYYY-MM-DD`. */
  readonly from?: string;
  /** Seconds of the day, UTC: from the first one up to, not including, the second; wraps around midnight. */
  readonly daily?: readonly [startSecond: number, endSecond: number];
  readonly price: ModelPrice;
}

/**
 * Which model names an entry covers, in lower case. A text is the name itself. A shape has `#` for one digit and, at its end
 * alone, `*` for any rest. No regular expressions: names come from callers.
 */
export type ModelRule =
  | string
  | { readonly startsWith: string }
  | { readonly endsWith: string }
  | { readonly contains: string }
  | { readonly shape: string }
  | { readonly any: readonly ModelRule[] }
  | { readonly all: readonly ModelRule[] }
  | { readonly not: ModelRule };

export interface PricedModel {
  readonly id: string;
  /** Any of them. */
  readonly match: readonly ModelRule[];
  /** The longest prompt and answer together, where the source says. */
  readonly contextTokens?: number;
  /** Empty where the source knows the model but no price per token: such a model is unknown, and hides no other. */
  readonly periods: readonly PricePeriod[];
}

export interface VendorPrices {
  /** Who bills: `openai`, `anthropic`, `aws`, … */
  readonly id: string;
  /** Vendors whose entries count when none of these does (a cloud that resells at list price). */
  readonly fallback?: readonly string[];
  /** In order: the first entry that covers a name counts. */
  readonly models: readonly PricedModel[];
}

/** Prices as published at one time. */
export interface PriceSnapshot {
  readonly source: {
    readonly package: string;
    readonly version: string;
    readonly licence: string;
    /** The day on which the source was published, `YYYY-MM-DD`: how old the prices are. */
    readonly publishedOn: string;
  };
  /** The day on which this file was made from it. */
  readonly generatedOn: string;
  readonly vendors: readonly VendorPrices[];
}

/** The longest model name that is looked up; longer ones are unknown. ARNs of inference profiles stay below 256. */
export const modelNameCharsMax = 512;
/** Entries of one vendor: twice the largest catalogue known. */
export const vendorModelsMax = 2_000;
/** Rules of one entry, nested ones included. */
export const entryRulesMax = 64;
/** How deep rules nest. */
export const ruleDepthMax = 4;
/** Operator's own prices. */
export const overridesMax = 1_000;
