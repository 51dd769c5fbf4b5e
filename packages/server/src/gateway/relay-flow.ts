import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { BodyFlow, BodySink, OutboundAnswer } from '../http/index.ts';

/** What became of one piece: nothing to wait for, a wait, or the end of the whole. */
export type Step<T> = undefined | Promise<Result<undefined, T>> | Result<undefined, T>;

/**
 * Takes a body piece by piece without a promise for each of them: `step` is called at once for what arrives, and only
 * where it has to wait (its caller has no room, money is being asked for) is the upstream held back until it is done.
 * Ends with ok at the end of the body, or with what a step ended it with.
 */
export function flowThrough<T>(
  answer: OutboundAnswer & { readonly flow: NonNullable<OutboundAnswer['flow']> },
  step: (bytes: Uint8Array) => Step<T>,
): Promise<Result<undefined, T>> {
  return new Promise((resolve, reject) => {
    const through = new Through(step, resolve, reject);
    through.attach(answer.flow(through));
  });
}

class Through<T> implements BodySink {
  readonly #step: (bytes: Uint8Array) => Step<T>;
  readonly #resolve: (outcome: Result<undefined, T>) => void;
  readonly #reject: (fault: unknown) => void;
  /** What arrived while a step waited: the rest of what was on its way when the upstream was held back. */
  readonly #queue: Uint8Array[] = [];
  #flow: BodyFlow | undefined;
  #isWaiting = false;
  #isEnded = false;
  #isOver = false;

  constructor(
    step: (bytes: Uint8Array) => Step<T>,
    resolve: (outcome: Result<undefined, T>) => void,
    reject: (fault: unknown) => void,
  ) {
    this.#step = step;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  attach(flow: BodyFlow): void {
    this.#flow = flow;
    if (this.#isWaiting) flow.pause();
  }

  piece(bytes: Uint8Array): void {
    if (this.#isWaiting) this.#queue.push(bytes);
    else if (!this.#isOver) this.#run(bytes);
  }

  end(): void {
    this.#isEnded = true;
    if (!this.#isWaiting) this.#finish(ok(undefined));
  }

  #run(bytes: Uint8Array): void {
    try {
      const step = this.#step(bytes);
      if (step === undefined) return;
      if (!(step instanceof Promise)) {
        if (!step.ok) this.#finish(step);
        return;
      }
      this.#isWaiting = true;
      this.#flow?.pause();
      step.then(
        (outcome) => this.#goOn(outcome),
        (fault: unknown) => this.#fault(fault),
      );
    } catch (fault) {
      // A defect of ours: it must reach whoever waits, and not the socket that the piece came from.
      this.#fault(fault);
    }
  }

  #goOn(outcome: Result<undefined, T>): void {
    this.#isWaiting = false;
    if (!outcome.ok) {
      this.#finish(outcome);
      return;
    }
    while (!this.#isWaiting && !this.#isOver) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      this.#run(next);
    }
    if (this.#isWaiting || this.#isOver) return;
    if (this.#isEnded) this.#finish(ok(undefined));
    else this.#flow?.resume();
  }

  #finish(outcome: Result<undefined, T>): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#resolve(outcome);
  }

  #fault(fault: unknown): void {
    this.#isOver = true;
    this.#reject(fault);
  }
}

/** Whether an answer can push its body. */
export function canFlow(
  answer: OutboundAnswer,
): answer is OutboundAnswer & { readonly flow: NonNullable<OutboundAnswer['flow']> } {
  return answer.flow !== undefined;
}
