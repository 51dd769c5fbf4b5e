import type { Usage } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import type { Attempt, Routed } from './stages.ts';

/** How one attempt ended, and what of it is known to be paid for. */
export interface AttemptEnd {
  /** `failed`: before the answer, or in the middle of it. */
  readonly outcome: 'complete' | 'aborted' | 'failed';
  readonly refusal: Refusal | undefined;
  /** What the upstream had reported by then; undefined where it answered nothing. */
  readonly usage: Usage | undefined;
  /** Characters of the model's own words that arrived; counted only where the upstream reports no usage. */
  readonly chars: number;
}

/**
 * Sees each attempt just before its request goes out. What it returns is called exactly once, when that attempt is
 * over: at its failure, or at the end of the answer. Neither may throw.
 */
export type AttemptWatcher = (
  stage: Routed,
  attempt: Attempt,
  /** From 1; repetitions count. */
  number: number,
) => (end: AttemptEnd) => void;
