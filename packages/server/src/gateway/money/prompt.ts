import type { Conversation } from '@postern/core/dialect';
import { estimateInputTokens } from '@postern/core/dialect';
import { unseenTokens } from './unseen-input.ts';

/** What a prompt counts for: estimated when somebody first asks, since where nothing depends on it nobody has to read it. */
export class Prompt {
  readonly #conversation: Conversation;
  #tokens: number | undefined;
  #tokensAtMost: number | undefined;

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
  }

  get tokens(): number {
    return (this.#tokens ??= estimateInputTokens(this.#conversation));
  }

  /** With what it refers to and does not hold: what is set aside for. */
  get tokensAtMost(): number {
    return (this.#tokensAtMost ??= this.tokens + unseenTokens(this.#conversation));
  }
}
