import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { ModelPrice, RateClass, Rates } from './model.ts';
import { rateMax, toolClasses } from './model.ts';
import type { NanoUsd } from './money.ts';
import { nanoUsdMax } from './money.ts';

/**
 * Counts as a provider billed them. `input`, `cacheRead` and `cacheWrite` are apart from each other; what is said to be *of*
 * a count is part of it. The dialects' usage has this shape; the optional parts are what only some providers report.
 */
export interface BilledUsage {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  /** Of `cacheWrite`, what was written for an hour. */
  readonly cacheWriteHour: number;
  readonly output: number;
  /** Of `output`, what went into thinking. */
  readonly reasoning: number;
  /** Of `input`. */
  readonly inputAudio?: number;
  readonly inputImage?: number;
  readonly inputVideo?: number;
  /** Of `cacheRead`. */
  readonly cacheReadAudio?: number;
  readonly cacheReadImage?: number;
  /** Of `output`. */
  readonly outputAudio?: number;
  readonly outputImage?: number;
  readonly outputVideo?: number;
  /** Searches that the provider ran, each billed by itself. */
  readonly webSearches?: number;
  readonly storageSearches?: number;
  /** Pictures that a tool painted, and sandboxes that code ran in. */
  readonly imageCalls?: number;
  readonly codeSessions?: number;
}

export type CostRefusal =
  /** A count that is negative, no integer or above `countMax`, or parts that exceed their whole. */
  | { readonly kind: 'bad-usage'; readonly field: RateClass }
  /** Something was used that the price does not name: never free. */
  | { readonly kind: 'unpriced'; readonly field: RateClass }
  /** More than an amount can hold. */
  | { readonly kind: 'too-large' };

/** A million million of one class in one request: a million times the largest context window. */
export const countMax = 1_000_000_000_000;

interface Bill {
  readonly field: RateClass;
  readonly parts: readonly RateClass[];
  /** The class that it is billed as where it has no rate of its own. */
  readonly like?: RateClass;
  /** How many times that rate. */
  readonly times?: number;
}

const bills: readonly Bill[] = [
  { field: 'input', parts: ['inputAudio', 'inputImage', 'inputVideo'] },
  { field: 'inputAudio', parts: [], like: 'input' },
  { field: 'inputImage', parts: [], like: 'input' },
  { field: 'inputVideo', parts: [], like: 'input' },
  { field: 'cacheRead', parts: ['cacheReadAudio', 'cacheReadImage'], like: 'input' },
  { field: 'cacheReadAudio', parts: [], like: 'cacheRead' },
  { field: 'cacheReadImage', parts: [], like: 'cacheRead' },
  { field: 'cacheWrite', parts: ['cacheWriteHour'], like: 'input' },
  // Everybody who sells hour writes bills twice the input; lists that leave them out would bill too little.
  { field: 'cacheWriteHour', parts: [], like: 'input', times: 2 },
  { field: 'output', parts: ['reasoning', 'outputAudio', 'outputImage', 'outputVideo'] },
  { field: 'reasoning', parts: [], like: 'output' },
  { field: 'outputAudio', parts: [], like: 'output' },
  { field: 'outputImage', parts: [], like: 'output' },
  { field: 'outputVideo', parts: [], like: 'output' },
  { field: 'webSearches', parts: [] },
  { field: 'storageSearches', parts: [] },
  { field: 'imageCalls', parts: [] },
  { field: 'codeSessions', parts: [] },
];
const billByField = new Map(bills.map((bill) => [bill.field, bill]));

/** The rate at which a class is billed, its fallback included; undefined where nothing says. */
export function rateOf(rates: Rates, field: RateClass): number | undefined {
  const own = rates[field];
  if (own !== undefined) return own;
  const bill = billByField.get(field);
  if (bill?.like === undefined) return undefined;
  const rate = rateOf(rates, bill.like);
  return rate === undefined ? undefined : Math.min(rate * (bill.times ?? 1), rateMax);
}

/** The rates that hold for a prompt of so many tokens, cached ones included. */
export function ratesFor(price: ModelPrice, promptTokens: number): Rates {
  let rates = price.rates;
  for (const step of price.steps ?? []) if (promptTokens > step.aboveTokens) rates = step.rates;
  return rates;
}

/**
 * What the usage costs, rounded up once, at the end. A stream is charged by the cost of its usage so far, hence it costs in
 * the end exactly what the same answer costs in one piece.
 */
export function costOf(price: ModelPrice, usage: BilledUsage): Result<NanoUsd, CostRefusal> {
  const text = textSumOf(price, usage);
  if (text !== undefined) return ok(roundedUp(text));
  const sum = sumOf(price, usage);
  if (!sum.ok) return sum;
  const { small, large } = sum.value;
  if (large === 0n) return ok(roundedUp(small));
  const cost = (large + BigInt(small) + 999_999n) / 1_000_000n;
  return cost > BigInt(nanoUsdMax) ? err({ kind: 'too-large' }) : ok(Number(cost));
}

/** The same in millionths of a nano-USD, before rounding: exactly additive between usages at the same rates. */
export function exactCost(price: ModelPrice, usage: BilledUsage): Result<bigint, CostRefusal> {
  const text = textSumOf(price, usage);
  if (text !== undefined) return ok(BigInt(text));
  const sum = sumOf(price, usage);
  return sum.ok ? ok(sum.value.large + BigInt(sum.value.small)) : sum;
}

const partsPerNano = 1_000_000;

/** Whole nano-USD of so many millionths, exactly: where the quotient was rounded up to a whole, that is the answer. */
function roundedUp(parts: number): number {
  const whole = Math.floor(parts / partsPerNano);
  return parts > whole * partsPerNano ? whole + 1 : whole;
}

/** A sum in two parts: what a number holds exactly, which is nearly always all of it, and the rest. */
interface Sum {
  readonly small: number;
  readonly large: bigint;
}

function sumOf(price: ModelPrice, usage: BilledUsage): Result<Sum, CostRefusal> {
  let small = 0;
  let large = 0n;
  const rates = ratesFor(price, usage.input + usage.cacheRead + usage.cacheWrite);
  for (const bill of bills) {
    const count = ownCount(usage, bill);
    if (count === 0) continue;
    if (count === undefined) return err({ kind: 'bad-usage', field: bill.field });
    const rate = rateOf(rates, bill.field);
    if (rate === undefined) return err({ kind: 'unpriced', field: bill.field });
    // Rounded, the product is at least as large as the bound whenever the exact one is: what is below it is exact.
    const raised = small + count * rate;
    if (raised < Number.MAX_SAFE_INTEGER) small = raised;
    else large += BigInt(count) * BigInt(rate);
  }
  return ok({ small, large });
}

/** Whether nothing was counted but what every usage says: so it is with nearly all. */
function hasTextOnly(usage: BilledUsage): boolean {
  return (
    isNone(usage.inputAudio) &&
    isNone(usage.inputImage) &&
    isNone(usage.inputVideo) &&
    isNone(usage.cacheReadAudio) &&
    isNone(usage.cacheReadImage) &&
    isNone(usage.outputAudio) &&
    isNone(usage.outputImage) &&
    isNone(usage.outputVideo) &&
    isNone(usage.webSearches) &&
    isNone(usage.storageSearches) &&
    isNone(usage.imageCalls) &&
    isNone(usage.codeSessions)
  );
}

function isNone(count: number | undefined): boolean {
  return count === undefined || count === 0;
}

/** Rates of the classes that every usage has; NaN where nothing says. */
type TextRates = Required<
  Pick<Rates, 'input' | 'cacheRead' | 'cacheWrite' | 'cacheWriteHour' | 'output' | 'reasoning'>
>;

const textRatesKnown = new WeakMap<Rates, TextRates>();

function textRatesOf(rates: Rates): TextRates {
  let known = textRatesKnown.get(rates);
  if (known === undefined) {
    const of = (field: RateClass): number => rateOf(rates, field) ?? Number.NaN;
    known = {
      input: of('input'),
      cacheRead: of('cacheRead'),
      cacheWrite: of('cacheWrite'),
      cacheWriteHour: of('cacheWriteHour'),
      output: of('output'),
      reasoning: of('reasoning'),
    };
    textRatesKnown.set(rates, known);
  }
  return known;
}

/**
 * What the loop over all classes comes to, in a tenth of its time: every request is priced twice. Undefined where that loop has to
 * say what is wrong, where more than text was used, or where the sum is more than a number holds exactly.
 */
function textSumOf(price: ModelPrice, usage: BilledUsage): number | undefined {
  if (!hasTextOnly(usage)) return undefined;
  const { input, cacheRead, cacheWrite, cacheWriteHour, output, reasoning } = usage;
  const areCounts =
    isCount(input) &&
    isCount(cacheRead) &&
    isCount(cacheWrite) &&
    isCount(cacheWriteHour) &&
    isCount(output) &&
    isCount(reasoning);
  if (!areCounts || cacheWriteHour > cacheWrite || reasoning > output) return undefined;
  const each = textRatesOf(ratesFor(price, input + cacheRead + cacheWrite));
  const sum =
    billed(input, each.input) +
    billed(cacheRead, each.cacheRead) +
    billed(cacheWrite - cacheWriteHour, each.cacheWrite) +
    billed(cacheWriteHour, each.cacheWriteHour) +
    billed(output - reasoning, each.output) +
    billed(reasoning, each.reasoning);
  // Also false for NaN: something was used that has no rate.
  return sum < Number.MAX_SAFE_INTEGER ? sum : undefined;
}

function billed(count: number, rate: number): number {
  return count === 0 ? 0 : count * rate;
}

/** What is billed at the class's own rate: the count less its parts. Undefined where the counts cannot be. */
function ownCount(usage: BilledUsage, bill: Bill): number | undefined {
  let left = usage[bill.field] ?? 0;
  if (!isCount(left)) return undefined;
  for (const part of bill.parts) {
    const count = usage[part] ?? 0;
    if (!isCount(count)) return undefined;
    left -= count;
  }
  return left < 0 ? undefined : left;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= countMax;
}

/** What is known before the answer. */
export interface Expected {
  /** All prompt tokens, however they will be cached. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The request asks for cache writes of an hour. */
  readonly hourWrites?: boolean;
  /** Sound, pictures or film may come in or go out. */
  readonly media?: boolean;
  readonly webSearches?: number;
  readonly storageSearches?: number;
  readonly imageCalls?: number;
  readonly codeSessions?: number;
}

/**
 * The most that such a request can cost: every token at the dearest class that it may turn out to be. A reservation of this
 * amount is never exceeded by a usage that stays within the expected counts.
 */
export function costCeiling(price: ModelPrice, expected: Expected): Result<NanoUsd, CostRefusal> {
  const rates = ratesFor(price, expected.inputTokens);
  return costOf(dearestOf(rates, expected.hourWrites === true, expected.media === true), {
    input: expected.inputTokens,
    cacheRead: 0,
    cacheWrite: 0,
    cacheWriteHour: 0,
    output: expected.outputTokens,
    reasoning: 0,
    webSearches: expected.webSearches ?? 0,
    storageSearches: expected.storageSearches ?? 0,
    imageCalls: expected.imageCalls ?? 0,
    codeSessions: expected.codeSessions ?? 0,
  });
}

/** The dearest rates of those that are the same for every request, by what may be billed of them. */
const dearestKnown = new WeakMap<Rates, Map<number, ModelPrice>>();

/** A price at which every token costs what the dearest class costs that it may turn out to be. */
function dearestOf(rates: Rates, hourWrites: boolean, media: boolean): ModelPrice {
  let known = dearestKnown.get(rates);
  if (known === undefined) dearestKnown.set(rates, (known = new Map()));
  const kind = (hourWrites ? 1 : 0) + (media ? 2 : 0);
  let price = known.get(kind);
  if (price === undefined) {
    price = { rates: dearestRates(rates, hourWrites, media) };
    known.set(kind, price);
  }
  return price;
}

function dearestRates(rates: Rates, hourWrites: boolean, media: boolean): Rates {
  const inputs: RateClass[] = ['input', 'cacheRead', 'cacheWrite'];
  const outputs: RateClass[] = ['output', 'reasoning'];
  if (hourWrites) inputs.push('cacheWriteHour');
  if (media) {
    inputs.push('inputAudio', 'inputImage', 'inputVideo', 'cacheReadAudio', 'cacheReadImage');
    outputs.push('outputAudio', 'outputImage', 'outputVideo');
  }
  const dearest: Mutable<Rates> = {};
  const input = dearestRate(rates, inputs);
  const output = dearestRate(rates, outputs);
  if (input !== undefined) dearest.input = input;
  if (output !== undefined) dearest.output = output;
  for (const tool of toolClasses) {
    const rate = rates[tool];
    if (rate !== undefined) dearest[tool] = rate;
  }
  return dearest;
}

function dearestRate(rates: Rates, fields: readonly RateClass[]): number | undefined {
  let dearest: number | undefined;
  for (const field of fields) {
    const rate = rateOf(rates, field);
    if (rate !== undefined && (dearest === undefined || rate > dearest)) dearest = rate;
  }
  return dearest;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
