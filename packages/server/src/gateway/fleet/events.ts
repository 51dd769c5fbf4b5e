import type { BreakerKind } from '@postern/core/routing';

/**
 * `ready`: requests go there. `probation`: one request tries it. `open`: the breaker holds requests back.
 * `unhealthy`: so do its health checks. `loading`: it was woken and does not answer yet.
 */
export type TargetState = 'ready' | 'probation' | 'loading' | 'asleep' | 'open' | 'unhealthy';

export type WakeState = 'unknown' | 'asleep' | 'loading' | 'ready';

/** What telemetry and the log may want to hear as it happens. `endpoint` is empty for a provider with one place. */
export type FleetEvent = { readonly provider: string; readonly endpoint: string } & (
  | {
      readonly kind: 'breaker';
      readonly model: string;
      readonly from: BreakerKind;
      readonly to: BreakerKind;
    }
  | { readonly kind: 'health'; readonly isHealthy: boolean }
  | { readonly kind: 'wake'; readonly state: WakeState; readonly problem: string | undefined }
  | { readonly kind: 'queue'; readonly depth: number }
  | { readonly kind: 'retry'; readonly model: string }
);

/** Sums since the start of the process; they only grow. */
export interface FleetCounters {
  attempts: number;
  failures: number;
  /** Repetitions at the same target, and those that the budget did not allow. */
  retries: number;
  retriesDenied: number;
  /** Requests that went on to another target after a failure. */
  fallbacks: number;
  queued: number;
  queueFull: number;
  queueLate: number;
  /** Callers who left while they waited. */
  queueLeft: number;
  breakerOpened: number;
  breakerClosed: number;
  wakes: number;
  wakesFailed: number;
  checksFailed: number;
}

export function newCounters(): FleetCounters {
  return {
    attempts: 0,
    failures: 0,
    retries: 0,
    retriesDenied: 0,
    fallbacks: 0,
    queued: 0,
    queueFull: 0,
    queueLate: 0,
    queueLeft: 0,
    breakerOpened: 0,
    breakerClosed: 0,
    wakes: 0,
    wakesFailed: 0,
    checksFailed: 0,
  };
}
