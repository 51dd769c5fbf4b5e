import type { JsonObject } from '@postern/core/base';

/** Writes down what a command does beside a running gateway, which signs it in the end. */
export class EvidenceSheet {
  readonly #step: string;
  readonly #reason: string;
  readonly #beganMs: number;
  readonly #isDrill: boolean;
  readonly #acts: JsonObject[] = [];
  readonly #proofs: { what: string; before: string; after: string; holds: boolean }[] = [];
  readonly #followUp: string[] = [];

  constructor(step: string, reason: string, beganMs: number, isDrill = false) {
    this.#step = step;
    this.#reason = reason;
    this.#beganMs = beganMs;
    this.#isDrill = isDrill;
  }

  did(what: string, detail: string, isDone = true): void {
    this.#acts.push({ what, outcome: isDone ? 'done' : 'failed', detail });
  }

  proved(what: string, before: string, after: string, holds: boolean): void {
    this.#proofs.push({ what, before, after, holds });
  }

  next(line: string): void {
    this.#followUp.push(line);
  }

  get isProven(): boolean {
    return this.#proofs.length > 0 && this.#proofs.every(({ holds }) => holds);
  }

  /** Id, actor and verdict are those of whoever signs. */
  evidence(endedMs: number): JsonObject {
    return {
      v: 1,
      id: 'inc_0',
      step: this.#step,
      is_drill: this.#isDrill,
      is_dry_run: false,
      reason: this.#reason,
      actor: '',
      began_at: new Date(this.#beganMs).toISOString(),
      ended_at: new Date(endedMs).toISOString(),
      parameters: {},
      acts: this.#acts,
      proofs: this.#proofs,
      verdict: 'unproven',
      follow_up: this.#followUp,
      report: [],
    };
  }
}
