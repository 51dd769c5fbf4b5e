/**
 * The breaker of one target: after enough failures in a row nothing is sent to it for a while, then one request alone
 * tries it again. Time is an argument.
 */

export interface BreakerRules {
  /** Failures in a row, none of them further apart from the first than `windowMs`, that open it. */
  readonly failures: number;
  readonly windowMs: number;
  /** How long it stays open the first time; each probe that fails doubles it, up to `openMsMax`. */
  readonly openMs: number;
  readonly openMsMax: number;
}

export type BreakerKind = 'closed' | 'open' | 'probation';

/**
 * `epoch` grows with every opening and closing. A request that was sent in an older epoch says nothing about this
 * one: the hundredth timeout of a burst must not open again what a probe has just closed.
 */
export type Breaker =
  | {
      readonly kind: 'closed';
      readonly epoch: number;
      readonly failures: number;
      readonly firstFailureMs: number;
    }
  | {
      readonly kind: 'open';
      readonly epoch: number;
      readonly untilMs: number;
      readonly openMs: number;
    }
  | {
      readonly kind: 'probation';
      readonly epoch: number;
      readonly openMs: number;
      /** One request is on its way to find out. */
      readonly isProbing: boolean;
    };

export const closedBreaker: Breaker = Object.freeze({
  kind: 'closed',
  epoch: 0,
  failures: 0,
  firstFailureMs: 0,
});

/** The right to send one request; its outcome must be reported once, with this. */
export interface BreakerPass {
  readonly epoch: number;
  readonly isProbe: boolean;
}

export type BreakerAnswer =
  | { readonly breaker: Breaker; readonly pass: BreakerPass }
  | { readonly breaker: Breaker; readonly pass: undefined; readonly waitMs: number };

/** What a caller is told to wait while a probe is under way: nobody knows how long that takes. */
const probeWaitMs = 1_000;

/** May one request be sent now? */
export function askBreaker(breaker: Breaker, nowMs: number): BreakerAnswer {
  switch (breaker.kind) {
    case 'closed':
      return { breaker, pass: { epoch: breaker.epoch, isProbe: false } };
    case 'open': {
      const waitMs = breaker.untilMs - nowMs;
      // A wait longer than it was opened for: the clock went back, and nobody waits for it to catch up.
      if (waitMs > 0 && waitMs <= breaker.openMs) return { breaker, pass: undefined, waitMs };
      return probe(breaker);
    }
    case 'probation':
      return breaker.isProbing ? { breaker, pass: undefined, waitMs: probeWaitMs } : probe(breaker);
  }
}

function probe({ epoch, openMs }: Exclude<Breaker, { kind: 'closed' }>): BreakerAnswer {
  return {
    breaker: { kind: 'probation', epoch, openMs, isProbing: true },
    pass: { epoch, isProbe: true },
  };
}

/** `unknown`: the caller left, or what failed was not the target. */
export type BreakerOutcome = 'good' | 'bad' | 'unknown';

export function reportToBreaker(
  rules: BreakerRules,
  breaker: Breaker,
  {
    pass,
    outcome,
    nowMs,
  }: { readonly pass: BreakerPass; readonly outcome: BreakerOutcome; readonly nowMs: number },
): Breaker {
  if (pass.epoch !== breaker.epoch) return breaker;
  switch (breaker.kind) {
    case 'closed':
      return afterClosed(rules, breaker, outcome, nowMs);
    case 'open':
      return breaker;
    case 'probation':
      return pass.isProbe ? afterProbe(rules, breaker, outcome, nowMs) : breaker;
  }
}

function afterClosed(
  rules: BreakerRules,
  breaker: Extract<Breaker, { kind: 'closed' }>,
  outcome: BreakerOutcome,
  nowMs: number,
): Breaker {
  if (outcome === 'unknown') return breaker;
  if (outcome === 'good') return breaker.failures === 0 ? breaker : { ...breaker, failures: 0 };
  const sinceMs = nowMs - breaker.firstFailureMs;
  const goesOn = breaker.failures > 0 && sinceMs >= 0 && sinceMs <= rules.windowMs;
  const failures = goesOn ? breaker.failures + 1 : 1;
  if (failures >= rules.failures) {
    const openMs = Math.min(rules.openMs, rules.openMsMax);
    return { kind: 'open', epoch: breaker.epoch + 1, untilMs: nowMs + openMs, openMs };
  }
  return { ...breaker, failures, firstFailureMs: goesOn ? breaker.firstFailureMs : nowMs };
}

function afterProbe(
  rules: BreakerRules,
  breaker: Extract<Breaker, { kind: 'probation' }>,
  outcome: BreakerOutcome,
  nowMs: number,
): Breaker {
  const epoch = breaker.epoch + 1;
  switch (outcome) {
    case 'good':
      return { kind: 'closed', epoch, failures: 0, firstFailureMs: 0 };
    case 'bad': {
      const openMs = Math.min(breaker.openMs * 2, rules.openMsMax);
      return { kind: 'open', epoch, untilMs: nowMs + openMs, openMs };
    }
    case 'unknown':
      return { ...breaker, isProbing: false };
  }
}
