import type { Result } from '@postern/core/base';
import type { BreakerRules, RetryRules } from '@postern/core/routing';

/** Whether a request goes to another target that can answer now, or waits for this one. */
export type WhileAway = 'nextTarget' | 'wait';

export interface QueueRules {
  readonly length: number;
  readonly waitMs: number;
  readonly whileBusy: WhileAway;
}

export interface HealthRules {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
}

/** Switches a machine on. Says in a sentence why it could not. */
export interface Waker {
  wake(signal: AbortSignal): Promise<Result<undefined, string>>;
}

export interface WakeRules {
  readonly waker: Waker;
  /** From waking to answering, at most. */
  readonly readyMs: number;
  readonly pollMs: number;
  /** Repetitions of the waking while it does not answer. */
  readonly again: number;
  /** Models that are asked for one token before the first request goes there. */
  readonly warmUp: readonly string[];
  readonly whileAsleep: WhileAway;
}

/** How one provider is used when it is busy, failing or asleep. */
export interface ProviderRules {
  readonly maxConcurrent: number | undefined;
  readonly queue: QueueRules;
  /** Undefined: failures have no consequence for the next request. */
  readonly breaker: BreakerRules | undefined;
  readonly retry: RetryRules;
  readonly health: HealthRules | undefined;
  readonly wake: WakeRules | undefined;
}

/** No bound, no breaker, no repetition: what holds for a provider that says nothing. */
export const plainRules: ProviderRules = Object.freeze({
  maxConcurrent: undefined,
  queue: Object.freeze({ length: 0, waitMs: 0, whileBusy: 'nextTarget' }),
  breaker: undefined,
  retry: Object.freeze({ times: 0, ratio: 0, burst: 0 }),
  health: undefined,
  wake: undefined,
});
