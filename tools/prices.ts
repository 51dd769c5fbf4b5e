/**
 * Makes the price snapshot from an unpacked `@pydantic/genai-prices` package:
 *
 *     npm pack @pydantic/genai-prices && tar xf pydantic-genai-prices-*.tgz
 *     node tools/prices.ts package --published 2026-09-23 [--generated YYYY-MM-DD]
 *
 * `--published` is the day of that release (`npm view @pydantic/genai-prices time`), since the package holds no date.
 * Whatever it cannot say exactly in the snapshot's own terms stops it: a rule that is no plain text, an unknown unit, a constraint of
 * another kind.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type {
  ModelPrice,
  ModelRule,
  PricedModel,
  PricePeriod,
  PriceSnapshot,
  RateClass,
  Rates,
  VendorPrices,
} from '@postern/core/price';
import { snapshotFaults } from '@postern/core/price';
import { root } from './checks/source-files.ts';

const target = 'packages/core/src/price/snapshot.generated.ts';
const bytesMax = 400_000;

/** Who is kept: who sells by the token over an API that Postern speaks. */
const vendorIds: readonly string[] = [
  'openai',
  'anthropic',
  'aws',
  'azure',
  'google',
  'mistral',
  'groq',
  'deepseek',
  'x-ai',
  'cohere',
  'together',
  'fireworks',
  'cerebras',
  'moonshotai',
  'openrouter',
];

/** The source's unit → our class and how many of the unit's base are a million. */
const units: Readonly<Record<string, readonly [field: RateClass, perMillion: bigint]>> = {
  input_mtok: ['input', 1n],
  input_audio_mtok: ['inputAudio', 1n],
  input_image_mtok: ['inputImage', 1n],
  input_video_mtok: ['inputVideo', 1n],
  cache_read_mtok: ['cacheRead', 1n],
  cache_audio_read_mtok: ['cacheReadAudio', 1n],
  cache_image_read_mtok: ['cacheReadImage', 1n],
  cache_write_mtok: ['cacheWrite', 1n],
  cache_write_1h_mtok: ['cacheWriteHour', 1n],
  output_mtok: ['output', 1n],
  output_audio_mtok: ['outputAudio', 1n],
  output_image_mtok: ['outputImage', 1n],
  output_video_mtok: ['outputVideo', 1n],
  output_reasoning_mtok: ['reasoning', 1n],
  web_searches_kcount: ['webSearches', 1_000n],
  storage_searches_kcount: ['storageSearches', 1_000n],
};
/** Billed by the hour, page or message: a model with one of these alone has no price per token. */
const foreignUnits: readonly string[] = [
  'audio_hours',
  'input_audio_hours',
  'input_document_kpages',
  'input_annotated_document_kpages',
  'input_text_messages_kcount',
];

type SourcePrice = Readonly<
  Record<
    string,
    number | { readonly base: number; readonly tiers: readonly { start: number; price: number }[] }
  >
>;
type SourceRule = Readonly<Record<string, string | readonly SourceRule[]>>;
interface SourcePeriod {
  readonly constraint?: Readonly<Record<string, string>>;
  readonly prices: SourcePrice;
}
interface SourceModel {
  readonly id: string;
  readonly match: SourceRule;
  readonly context_window?: number;
  readonly prices: SourcePrice | readonly SourcePeriod[];
}
interface SourceVendor {
  readonly id: string;
  readonly fallback_model_providers?: readonly string[];
  readonly models: readonly SourceModel[];
}

let roundedUp = 0;

/** USD per million → nano-USD per million, from the shortest decimal of the number; what is finer is rounded up. */
function nanoUsd(usd: number): bigint {
  const match = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(usd));
  if (match === null) throw new Error(`${usd} is no price`);
  const [, whole = '', fraction = '', exponent = '0'] = match;
  const shift = 9 - fraction.length + Number(exponent);
  const digits = BigInt(whole + fraction);
  if (shift >= 0) return digits * 10n ** BigInt(shift);
  const unit = 10n ** BigInt(-shift);
  if (digits % unit === 0n) return digits / unit;
  roundedUp += 1;
  return digits / unit + 1n;
}

function rates(prices: SourcePrice, promptTokens: number): Rates {
  const list: Partial<Record<RateClass, number>> = {};
  for (const [unit, value] of Object.entries(prices)) {
    const row = units[unit];
    if (row === undefined) {
      if (foreignUnits.includes(unit)) continue;
      throw new Error(`nobody knows the unit ${unit}`);
    }
    let usd = typeof value === 'number' ? value : value.base;
    if (typeof value !== 'number')
      for (const tier of value.tiers) if (promptTokens > tier.start) usd = tier.price;
    list[row[0]] = Number(nanoUsd(usd) * row[1]);
  }
  return list;
}

function price(prices: SourcePrice): ModelPrice | undefined {
  if (prices['input_mtok'] === undefined && prices['output_mtok'] === undefined) return undefined;
  const starts = Object.values(prices).flatMap((value) =>
    typeof value === 'number' ? [] : value.tiers.map((tier) => tier.start),
  );
  const steps = [...new Set(starts)]
    .sort((a, b) => a - b)
    .map((start) => ({ aboveTokens: start, rates: rates(prices, start + 1) }));
  return { rates: rates(prices, 0), ...(steps.length > 0 ? { steps } : {}) };
}

function periods(model: SourceModel): PricePeriod[] {
  if (!Array.isArray(model.prices)) {
    const only = price(model.prices as SourcePrice); // the source has either a list or one price
    return only === undefined ? [] : [{ price: only }];
  }
  const list = model.prices as readonly SourcePeriod[]; // see above
  const known = list.map((each) => ({ condition: condition(each), price: price(each.prices) }));
  if (known.every((each) => each.price === undefined)) return [];
  return known.map(({ condition, price }) => {
    if (price === undefined) throw new Error(`${model.id} has a price at some times only`);
    return { ...condition, price };
  });
}

function condition(period: SourcePeriod): Pick<PricePeriod, 'from' | 'daily'> {
  const constraint = period.constraint;
  if (constraint === undefined) return {};
  if (constraint['start_date'] !== undefined) return { from: constraint['start_date'] };
  return { daily: [secondOfDay(constraint['start_time']), secondOfDay(constraint['end_time'])] };
}

function secondOfDay(time: string | undefined): number {
  const match = /^(\d{2}):(\d{2}):(\d{2})Z$/.exec(time ?? '');
  if (match === null) throw new Error(`${time} is no time of day in UTC`);
  return Number(match[1]) * 3_600 + Number(match[2]) * 60 + Number(match[3]);
}

function rule(source: SourceRule): ModelRule {
  const [[kind, value] = ['', '']] = Object.entries(source);
  if (typeof value === 'string') {
    if (kind === 'regex') return regexRule(value);
    const text = value.toLowerCase();
    if (kind === 'equals') return text;
    if (kind === 'starts_with') return { startsWith: text };
    if (kind === 'ends_with') return { endsWith: text };
    if (kind === 'contains') return { contains: text };
  } else if (value !== undefined) {
    if (kind === 'or') return { any: value.map(rule) };
    if (kind === 'and') return { all: value.map(rule) };
  }
  throw new Error(`nobody knows the rule ${JSON.stringify(source)}`);
}

/** The two shapes of expressions that the source has: literal text with digits, and "is no speech model". */
function regexRule(pattern: string): ModelRule {
  if (pattern === '^(?!.*-[tT][tT][sS](?:$|-))')
    return { not: { any: [{ endsWith: '-tts' }, { contains: '-tts-' }] } };
  const match = /^\^((?:[a-z0-9/_-]|\\[.[\]]|\\d(?:\{\d\})?)+)(\$?)$/.exec(pattern);
  if (match === null) throw new Error(`${pattern} is not text with digits`);
  const shape = (match[1] ?? '')
    .replaceAll(/\\d(?:\{(\d)\})?/g, (_, times?: string) => '#'.repeat(Number(times ?? 1)))
    .replaceAll('\\', '');
  return { shape: match[2] === '$' ? shape : `${shape}*` };
}

function model(source: SourceModel): PricedModel {
  const match = rule(source.match);
  const context = source.context_window;
  return {
    id: source.id,
    match: typeof match !== 'string' && 'any' in match ? match.any : [match],
    ...(context === undefined ? {} : { contextTokens: context }),
    periods: periods(source),
  };
}

function vendor(source: SourceVendor): VendorPrices {
  const fallback = source.fallback_model_providers;
  return {
    id: source.id,
    ...(fallback === undefined ? {} : { fallback }),
    models: source.models.map(model),
  };
}

/** One line a model: a change of a price is a change of one line. */
function fileText(snapshot: PriceSnapshot, licence: string): string {
  const { vendors, ...head } = snapshot;
  const lines = vendors.flatMap(({ models, ...vendorHead }) => [
    `    {`,
    ...Object.entries(vendorHead).map(([key, value]) => `      ${key}: ${JSON.stringify(value)},`),
    `      models: [`,
    ...models.map((each) => `        ${literal(each)},`),
    `      ],`,
    `    },`,
  ]);
  return [
    `/*`,
    ` * Made by tools/prices.ts from ${head.source.package} ${head.source.version}. Do not edit: the operator's own prices go`,
    ` * into the configuration. The data is under this licence:`,
    ` *`,
    ...licence
      .trim()
      .split('\n')
      .map((line) => ` * ${line}`.trimEnd()),
    ` */`,
    `import type { PriceSnapshot } from './model.ts';`,
    ``,
    `/** Prices as published by ${head.source.publishedOn}. */`,
    `export const priceSnapshot: PriceSnapshot = {`,
    `  source: ${literal(head.source)},`,
    `  generatedOn: ${literal(head.generatedOn)},`,
    `  vendors: [`,
    ...lines,
    `  ],`,
    `};`,
    ``,
  ].join('\n');
}

function literal(value: unknown): string {
  return JSON.stringify(value).replaceAll(/"([a-zA-Z]+)":/g, '$1:');
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { published: { type: 'string' }, generated: { type: 'string' } },
});
const [folder] = positionals;
if (folder === undefined || values.published === undefined)
  throw new Error('usage: node tools/prices.ts FOLDER --published YYYY-MM-DD');
const about: { name: string; version: string; license: string } = JSON.parse(
  readFileSync(path.join(folder, 'package.json'), 'utf8'),
);
const source: { waitForUpdate(): Promise<readonly SourceVendor[]> } = await import(
  pathToFileURL(path.resolve(folder, 'dist/index.js')).href
);
const all = await source.waitForUpdate();
const kept = vendorIds.map((id) => {
  const found = all.find((each) => each.id === id);
  if (found === undefined) throw new Error(`the source has no vendor ${id}`);
  return vendor(found);
});
const snapshot: PriceSnapshot = {
  source: {
    package: about.name,
    version: about.version,
    licence: about.license,
    publishedOn: values.published,
  },
  generatedOn: values.generated ?? new Date().toISOString().slice(0, 10),
  vendors: kept.map((each) => ({
    ...each,
    ...(each.fallback === undefined
      ? {}
      : { fallback: each.fallback.filter((id) => vendorIds.includes(id)) }),
  })),
};
const faults = snapshotFaults(snapshot);
const text = fileText(snapshot, readFileSync(path.join(folder, 'LICENSE'), 'utf8'));
if (Buffer.byteLength(text) > bytesMax)
  faults.push(`${Buffer.byteLength(text)} bytes are too many`);
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
writeFileSync(path.join(root, target), text);
const models = kept.flatMap((each) => each.models);
console.log(
  `${target}: ${kept.length} vendors, ${models.length} models, ${models.filter((each) => each.periods.length === 0).length} without a price per token, ${roundedUp} rates rounded up, ${Buffer.byteLength(text)} bytes`,
);
