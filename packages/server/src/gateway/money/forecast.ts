import type { Conversation } from '@postern/core/dialect';
import type { ModelPrice } from '@postern/core/price';
import { costCeiling, nanoUsdMax } from '@postern/core/price';
import { answersOf, mayHoldMedia } from './billed-apart.ts';
import type { Prompt } from './prompt.ts';
import { searchesOf, withSearchRates } from './searches.ts';

/** A model at a price. */
export interface Offer {
  readonly model: string;
  readonly price: ModelPrice;
}

/** The most that a request may come to, before anybody knows its answer. */
export class Forecast {
  readonly #conversation: Conversation;
  readonly #prompt: Prompt;
  /** Answers that are written; counted when somebody first asks. */
  #answers: number | undefined;
  /** Searches that the model asked for last may run. */
  #searches: { readonly model: string; readonly count: number } | undefined;

  constructor(conversation: Conversation, prompt: Prompt) {
    this.#conversation = conversation;
    this.#prompt = prompt;
  }

  /** Each choice is an answer of its own. */
  get answers(): number {
    return (this.#answers ??= answersOf(this.#conversation));
  }

  /** Nano-USD, with so many output tokens for each answer. */
  cost({ model, price }: Offer, outputTokens: number): number {
    const webSearches = this.#searchesBy(model);
    const ceiling = costCeiling(webSearches === 0 ? price : withSearchRates(price, model), {
      inputTokens: this.#prompt.tokensAtMost,
      outputTokens: outputTokens * this.answers,
      hourWrites: true,
      media: mayHoldMedia(price, this.#conversation),
      webSearches,
    });
    return ceiling.ok ? ceiling.value : nanoUsdMax;
  }

  /** Output tokens of each answer that an amount pays for, beside the prompt. */
  affordable(offer: Offer, amount: number): number {
    const left = amount - this.cost(offer, 0);
    const perThousand = this.cost(offer, 1_000) - this.cost(offer, 0);
    if (left <= 0 || perThousand <= 0) return 0;
    // One less for the rounding up.
    return Math.max(0, Math.floor((left * 1_000) / perThousand) - 1);
  }

  #searchesBy(model: string): number {
    if (this.#searches?.model !== model)
      this.#searches = { model, count: searchesOf(this.#conversation, model) };
    return this.#searches.count;
  }
}
