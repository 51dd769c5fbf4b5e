import type { ModelPrice, PriceBook, Site } from '@postern/core/price';
import { freePrice, highestPrice, priceOf } from '@postern/core/price';
import { fasterThan } from './billed-apart.ts';
import type { Thinks } from './hidden-thinking.ts';
import { thinksByName } from './hidden-thinking.ts';

/** What one target costs now. */
export type Tariff =
  | { readonly kind: 'free' }
  | Priced
  | { readonly kind: 'unknown' }
  /** Its provider's name does not resolve now, so that nobody can say who bills for it. */
  | { readonly kind: 'unresolved' };

export interface Priced {
  readonly kind: 'priced';
  readonly price: ModelPrice;
  /** Nobody states it; it is the snapshot's highest. */
  readonly assumed: boolean;
  /** What an answer is charged at that came at a tier which the list does not have; absent where one price is for all. */
  readonly faster?: ModelPrice;
  /** What is set aside by: the dearer one where answers came at that tier before. */
  readonly ahead: ModelPrice;
  readonly thinks: Thinks;
}

export interface TariffsOptions {
  /** Loaded with the first target that is not self-hosted: a machine with local models never pays for it. */
  readonly book: () => Promise<PriceBook>;
  /** Who bills for a provider; resolves its name where it has to. Undefined where that does not resolve now. */
  readonly site: (provider: string) => Site | undefined | Promise<Site | undefined>;
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
  /** Targets that answered at a faster tier unasked: their provider is set up so. */
  readonly #faster = new Set<string>();
  /** Targets that thought without being asked to. */
  readonly #thinkers = new Set<string>();
  /** What was asked for last: mostly the next one asks for the same. */
  #last: (Known & Asked) | undefined;

  constructor(options: TariffsOptions) {
    this.#options = options;
  }

  /**
   * At once for what was asked within the minute. `faster`: at a tier that costs more than the lists say, so that only a price of the
   * operator's own says what.
   */
  of(provider: string, model: string, faster = false): Tariff | Promise<Tariff> {
    const now = this.#options.nowMs();
    const last = this.#last;
    if (
      last?.provider === provider &&
      last.model === model &&
      last.faster === faster &&
      isFresh(last, now)
    )
      return last.tariff;
    const asked = { provider, model, faster };
    const known = this.#known.get(keyOf(asked));
    if (known === undefined || !isFresh(known, now)) return this.#find(asked, now);
    this.#last = { ...known, ...asked };
    return known.tariff;
  }

  /** An answer came at a faster tier than was asked for: so will the next ones. */
  cameFaster(provider: string, model: string): void {
    this.#learn(this.#faster, provider, model);
  }

  /** An answer had thinking that nobody asked for: so may the next ones. */
  cameThinking(provider: string, model: string): void {
    this.#learn(this.#thinkers, provider, model);
  }

  #learn(about: Set<string>, provider: string, model: string): void {
    const key = keyOf({ provider, model, faster: false });
    if (about.has(key)) return;
    if (about.size >= keptMax) about.clear();
    about.add(key);
    this.#known.delete(key);
    this.#known.delete(keyOf({ provider, model, faster: true }));
    this.#last = undefined;
  }

  #thinks(provider: string, model: string): Thinks {
    if (this.#thinkers.has(keyOf({ provider, model, faster: false }))) return 'seen';
    return thinksByName(model) ? 'named' : undefined;
  }

  async #find(asked: Asked, atMs: number): Promise<Tariff> {
    const { provider, model, faster } = asked;
    const site = await this.#options.site(provider);
    if (site === undefined) return this.#stated(provider, model, atMs);
    const tariff =
      site.kind === 'self-hosted' && !this.#options.hasOverrides
        ? free
        : this.#ask(await this.#options.book(), { provider, model, site, atMs }, faster);
    if (this.#known.size >= keptMax) this.#known.clear();
    this.#known.set(keyOf(asked), { tariff, untilMs: atMs + keptMs });
    return tariff;
  }

  /** What the operator states needs no address; anything else waits for it, and is not remembered. */
  async #stated(provider: string, model: string, atMs: number): Promise<Tariff> {
    if (!this.#options.hasOverrides) return unresolved;
    const site: Site = { kind: 'unlisted' };
    const answer = priceOf(await this.#options.book(), { provider, model, site, atMs });
    return answer.kind === 'unknown' ? unresolved : tariffOf(answer, this.#thinks(provider, model));
  }

  #ask(book: PriceBook, query: Parameters<typeof priceOf>[1], faster: boolean): Tariff {
    const answer = priceOf(book, query);
    if (answer.kind === 'listed' && !faster) return this.#listed(answer.price, query);
    const { provider, model, site } = query;
    const thinks = this.#thinks(provider, model);
    if (answer.kind === 'override' || answer.kind === 'self-hosted')
      return tariffOf(answer, thinks);
    if (this.#options.unknown === 'refuse') return { kind: 'unknown' };
    const price = highestPrice(book.snapshot, site.kind === 'vendor' ? site.vendor : undefined);
    return { kind: 'priced', price, assumed: true, ahead: price, thinks };
  }

  #listed(price: ModelPrice, { provider, model }: Parameters<typeof priceOf>[1]): Tariff {
    const faster = fasterThan(price);
    const isFaster = this.#faster.has(keyOf({ provider, model, faster: false }));
    return {
      kind: 'priced',
      price,
      assumed: false,
      faster,
      ahead: isFaster ? faster : price,
      thinks: this.#thinks(provider, model),
    };
  }
}

interface Asked {
  readonly provider: string;
  readonly model: string;
  readonly faster: boolean;
}

function keyOf({ provider, model, faster }: Asked): string {
  return faster ? `${provider}/${model} faster` : `${provider}/${model}`;
}

interface Known {
  readonly tariff: Tariff;
  readonly untilMs: number;
}

function isFresh({ untilMs }: Known, now: number): boolean {
  return now < untilMs && untilMs - now <= keptMs;
}

const free: Tariff = Object.freeze({ kind: 'free' });
const unresolved: Tariff = Object.freeze({ kind: 'unresolved' });

function tariffOf(
  answer: Exclude<ReturnType<typeof priceOf>, { kind: 'unknown' }>,
  thinks: Thinks,
): Tariff {
  if (answer.kind === 'self-hosted' || answer.price === freePrice) return free;
  const { price } = answer;
  return { kind: 'priced', price, assumed: false, ahead: price, thinks };
}
