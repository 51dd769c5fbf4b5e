import type { Glob } from '@postern/core/base';
import { assert, compileGlob } from '@postern/core/base';
import { rateOf } from './cost.ts';
import type {
  ModelPrice,
  PricePeriod,
  PriceSnapshot,
  PricedModel,
  RateClass,
  Rates,
  VendorPrices,
} from './model.ts';
import { modelNameCharsMax, overridesMax, rateClasses } from './model.ts';
import { ruleCovers, withDashedDay } from './rule.ts';
import type { Site } from './site.ts';

/** What the operator says that a model costs. It wins over the snapshot and over being self-hosted. */
export interface PriceOverride {
  /** Glob over `provider/model`, with the provider's id in the configuration: `upstream/**`. */
  readonly target: string;
  readonly price: ModelPrice;
}

export interface PriceQuery {
  /** The provider's id in the configuration: what overrides match. */
  readonly provider: string;
  readonly site: Site;
  /** As it is sent to the provider. */
  readonly model: string;
  /** When the request is made, epoch ms. */
  readonly atMs: number;
}

export type PriceAnswer =
  | { readonly kind: 'override'; readonly price: ModelPrice; readonly target: string }
  /** `entry` is `vendor/id` in the snapshot. */
  | { readonly kind: 'listed'; readonly price: ModelPrice; readonly entry: string }
  | { readonly kind: 'self-hosted'; readonly price: ModelPrice }
  /** Never free: refused, or charged at `highestPrice`. */
  | { readonly kind: 'unknown'; readonly why: 'unlisted-site' | 'unlisted-model' };

/** Nothing costs anything: what a self-hosted model has for a price. */
export const freePrice: ModelPrice = Object.freeze({
  rates: Object.freeze(Object.fromEntries(rateClasses.map((field) => [field, 0]))),
});

/** A snapshot and the operator's prices, ready to be asked. Immutable; asking is pure. */
export interface PriceBook {
  readonly snapshot: PriceSnapshot;
  readonly overrides: readonly (PriceOverride & { readonly matches: Glob })[];
  readonly shelves: ReadonlyMap<string, Shelf>;
}

/** One vendor's entries: plain names by hash, the rest in order. */
interface Shelf {
  readonly vendor: VendorPrices;
  readonly byName: ReadonlyMap<string, number>;
  readonly ruled: readonly number[];
}

/** Overrides count in their order: the first that matches. Compile once per configuration. */
export function openPriceBook(
  snapshot: PriceSnapshot,
  overrides: readonly PriceOverride[] = [],
): PriceBook {
  assert(overrides.length <= overridesMax, `at most ${overridesMax} prices of the operator`);
  return {
    snapshot,
    overrides: overrides.map((each) => ({ ...each, matches: compileGlob(each.target) })),
    shelves: new Map(snapshot.vendors.map((vendor) => [vendor.id, shelfOf(vendor)])),
  };
}

function shelfOf(vendor: VendorPrices): Shelf {
  const byName = new Map<string, number>();
  const ruled: number[] = [];
  vendor.models.forEach((model, i) => {
    for (const rule of model.match)
      if (typeof rule === 'string' && !byName.has(rule)) byName.set(rule, i);
    if (model.match.some((rule) => typeof rule !== 'string')) ruled.push(i);
  });
  return { vendor, byName, ruled };
}

/** What the model costs at that moment. Linear in the vendor's rules: ask once per target and period, not per token. */
export function priceOf(book: PriceBook, query: PriceQuery): PriceAnswer {
  if (query.model.length > modelNameCharsMax) return { kind: 'unknown', why: 'unlisted-model' };
  const target = `${query.provider}/${query.model}`;
  const override = book.overrides.find((each) => each.matches(target));
  if (override !== undefined)
    return { kind: 'override', price: override.price, target: override.target };
  if (query.site.kind === 'self-hosted') return { kind: 'self-hosted', price: freePrice };
  if (query.site.kind === 'unlisted') return { kind: 'unknown', why: 'unlisted-site' };
  const name = query.model.toLowerCase().trim();
  const found =
    findListed(book, query.site.vendor, name) ??
    findListed(book, query.site.vendor, withDashedDay(name));
  const period = found === undefined ? undefined : periodAt(found.model.periods, query.atMs);
  if (found === undefined || period === undefined)
    return { kind: 'unknown', why: 'unlisted-model' };
  return { kind: 'listed', price: period.price, entry: `${found.vendor}/${found.model.id}` };
}

function findListed(
  book: PriceBook,
  vendor: string,
  name: string,
): { readonly vendor: string; readonly model: PricedModel } | undefined {
  const own = book.shelves.get(vendor);
  if (own === undefined) return undefined;
  for (const id of [vendor, ...(own.vendor.fallback ?? [])]) {
    const shelf = book.shelves.get(id);
    const model = shelf === undefined ? undefined : findOnShelf(shelf, name);
    if (model !== undefined) return { vendor: id, model };
  }
  return undefined;
}

/** The first entry in the vendor's order that covers the name, whichever way it does. */
function findOnShelf(shelf: Shelf, name: string): PricedModel | undefined {
  const models = shelf.vendor.models;
  const plain = shelf.byName.get(name) ?? models.length;
  for (const i of shelf.ruled) {
    if (i >= plain) break;
    const model = models[i];
    if (model?.match.some((rule) => ruleCovers(rule, name)) === true) return model;
  }
  return models[plain];
}

const dayMs = 86_400_000;

function periodAt(periods: readonly PricePeriod[], atMs: number): PricePeriod | undefined {
  return periods.findLast((period) => {
    if (period.from !== undefined && atMs < Date.parse(`${period.from}T00:00:00Z`)) return false;
    if (period.daily === undefined) return true;
    const [start, end] = period.daily;
    const second = Math.floor((((atMs % dayMs) + dayMs) % dayMs) / 1_000);
    return end < start ? second >= start || second < end : second >= start && second < end;
  });
}

/**
 * A price that is in no class below any price of the snapshot: what an unknown model is charged at where it may not be
 * refused. Of one vendor, where the site is known.
 */
export function highestPrice(snapshot: PriceSnapshot, vendor?: string): ModelPrice {
  const known = snapshot.vendors.find((each) => each.id === vendor);
  const highest: Partial<Record<RateClass, number>> = {};
  for (const rates of (known === undefined ? snapshot.vendors : [known]).flatMap(allRates)) {
    for (const field of rateClasses) {
      const rate = rateOf(rates, field);
      if (rate !== undefined) highest[field] = Math.max(highest[field] ?? 0, rate);
    }
  }
  return { rates: highest };
}

function allRates(vendor: VendorPrices): Rates[] {
  return vendor.models
    .flatMap((model) => model.periods)
    .flatMap(({ price }) => [price.rates, ...(price.steps ?? []).map((step) => step.rates)]);
}
