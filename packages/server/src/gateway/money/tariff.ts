import type { ModelPrice, PriceBook, Site } from '@postern/core/price';
import { freePrice, highestPrice, priceOf } from '@postern/core/price';

/** What one target costs now. */
export type Tariff =
  | { readonly kind: 'free' }
  /** `assumed`: nobody states it; it is the snapshot's highest. */
  | { readonly kind: 'priced'; readonly price: ModelPrice; readonly assumed: boolean }
  | { readonly kind: 'unknown' };

export interface TariffsOptions {
  /** Loaded with the first target that is not self-hosted: a machine with local models never pays for it. */
  readonly book: () => Promise<PriceBook>;
  /** Who bills for a provider; resolves its name where it has to. */
  readonly site: (provider: string) => Site | Promise<Site>;
  readonly hasOverrides: boolean;
  /** What a model of unknown price is: refused, or charged at the highest price. */
  readonly unknown: 'refuse' | 'highest';
  readonly nowMs: () => number;
}

/** Prices change by the minute at the most (off-peak hours), addresses behind names seldom. */
const keptMs = 60_000;
/** Targets whose price is remembered. */
const keptMax = 10_000;

/** Prices of targets, remembered for a minute. */
export class Tariffs {
  readonly #options: TariffsOptions;
  readonly #known = new Map<string, Known>();
  /** What was asked for last: mostly the next one asks for the same. */
  #last: (Known & { readonly provider: string; readonly model: string }) | undefined;

  constructor(options: TariffsOptions) {
    this.#options = options;
  }

  /** At once for what was asked within the minute. */
  of(provider: string, model: string): Tariff | Promise<Tariff> {
    const now = this.#options.nowMs();
    const last = this.#last;
    if (last?.provider === provider && last.model === model && isFresh(last, now))
      return last.tariff;
    const known = this.#known.get(`${provider}/${model}`);
    if (known === undefined || !isFresh(known, now)) return this.#find(provider, model, now);
    this.#last = { ...known, provider, model };
    return known.tariff;
  }

  async #find(provider: string, model: string, atMs: number): Promise<Tariff> {
    const site = await this.#options.site(provider);
    const tariff =
      site.kind === 'self-hosted' && !this.#options.hasOverrides
        ? free
        : this.#ask(await this.#options.book(), { provider, model, site, atMs });
    if (this.#known.size >= keptMax) this.#known.clear();
    this.#known.set(`${provider}/${model}`, { tariff, untilMs: atMs + keptMs });
    return tariff;
  }

  #ask(book: PriceBook, query: Parameters<typeof priceOf>[1]): Tariff {
    const answer = priceOf(book, query);
    if (answer.kind === 'self-hosted') return free;
    if (answer.kind !== 'unknown') {
      const isFree = answer.price === freePrice;
      return isFree ? free : { kind: 'priced', price: answer.price, assumed: false };
    }
    if (this.#options.unknown === 'refuse') return { kind: 'unknown' };
    const { site } = query;
    const price = highestPrice(book.snapshot, site.kind === 'vendor' ? site.vendor : undefined);
    return { kind: 'priced', price, assumed: true };
  }
}

interface Known {
  readonly tariff: Tariff;
  readonly untilMs: number;
}

function isFresh({ untilMs }: Known, now: number): boolean {
  return now < untilMs && untilMs - now <= keptMs;
}

const free: Tariff = Object.freeze({ kind: 'free' });
