import { mcpLimits } from './limits.ts';

/** What somebody was asked to agree to: this call of this tool, with these arguments, by this principal. */
export interface Question {
  readonly principal: string;
  readonly tool: string;
  /** SHA-256 of the arguments as they were read. */
  readonly argsDigest: string;
  /** What it acts on as it was then, such as the digest of the policy in force. */
  readonly basis: string;
}

/**
 * Questions that wait for an answer. The state that travels through the client is a name and nothing else: 256 random
 * bits that mean something here alone, once, for ten minutes. So there is nothing in it to read, to change, or to use
 * for another call, and an answer to a question that nobody asked is no answer.
 */
export class Consents {
  readonly #open = new Map<string, Question & { readonly untilMs: number }>();
  readonly #randomHex: () => string;

  constructor(randomHex: () => string) {
    this.#randomHex = randomHex;
  }

  /** Notes a question; the state by which its answer is known. */
  ask(question: Question, nowMs: number): string {
    this.#forget(nowMs);
    const own = [...this.#open].filter(([, { principal }]) => principal === question.principal);
    const surplus = own.slice(
      0,
      Math.max(0, own.length - (mcpLimits.questionsPerPrincipalMax - 1)),
    );
    for (const [state] of surplus) this.#open.delete(state);
    const [oldest] = this.#open.keys();
    if (this.#open.size >= mcpLimits.questionsMax && oldest !== undefined)
      this.#open.delete(oldest);
    const state = this.#randomHex();
    this.#open.set(state, { ...question, untilMs: nowMs + mcpLimits.questionMsMax });
    return state;
  }

  /** Whether this state belongs to this very question. It is used up, whatever the answer is. */
  take(state: string, question: Question, nowMs: number): boolean {
    this.#forget(nowMs);
    const asked = this.#open.get(state);
    if (asked === undefined || asked.principal !== question.principal) return false;
    this.#open.delete(state);
    return (
      asked.tool === question.tool &&
      asked.argsDigest === question.argsDigest &&
      asked.basis === question.basis
    );
  }

  #forget(nowMs: number): void {
    for (const [state, { untilMs }] of this.#open) if (untilMs <= nowMs) this.#open.delete(state);
  }
}
