import type { Conversation } from '@postern/core/dialect';
import { noUsage } from '@postern/core/dialect';
import type { ModelPrice } from '@postern/core/price';
import { costCeiling } from '@postern/core/price';
import { answersOf, mayHoldMedia } from './billed-apart.ts';
import { charge } from './charge.ts';
import type { Prompt } from './prompt.ts';
import type { UsesAhead } from './tool-uses.ts';
import { usesAhead, withToolRates } from './tool-uses.ts';

/** A model at a price. */
export interface Offer {
  readonly model: string;
  readonly price: ModelPrice;
}

interface Uses {
  readonly model: string;
  readonly ahead: UsesAhead;
  readonly isAny: boolean;
}

/** The most that a request may come to, before anybody knows its answer. */
export class Forecast {
  readonly #conversation: Conversation;
  readonly #prompt: Prompt;
  /** Answers that are written; counted when somebody first asks. */
  #answers: number | undefined;
  /** What the model that was asked for last may run. */
  #uses: Uses | undefined;

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
    const uses = this.#usesBy(model);
    const input = this.#prompt.tokensAtMost;
    const output = outputTokens * this.answers;
    const ceiling = costCeiling(uses.isAny ? withToolRates(price, model) : price, {
      inputTokens: input,
      outputTokens: output,
      hourWrites: true,
      media: mayHoldMedia(price, this.#conversation),
      ...uses.ahead,
    });
    // As it would be charged: a list may have no price for what a model that makes vectors never gives.
    return ceiling.ok ? ceiling.value : charge(price, { ...noUsage, input, output }, model);
  }

  /** Output tokens of each answer that an amount pays for, beside the prompt. */
  affordable(offer: Offer, amount: number): number {
    const left = amount - this.cost(offer, 0);
    const perThousand = this.cost(offer, 1_000) - this.cost(offer, 0);
    if (left <= 0 || perThousand <= 0) return 0;
    // One less for the rounding up.
    return Math.max(0, Math.floor((left * 1_000) / perThousand) - 1);
  }

  #usesBy(model: string): Uses {
    if (this.#uses?.model !== model) {
      const ahead = usesAhead(this.#conversation, model);
      this.#uses = { model, ahead, isAny: Object.keys(ahead).length > 0 };
    }
    return this.#uses;
  }
}
