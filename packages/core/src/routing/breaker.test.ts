import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Breaker, BreakerOutcome, BreakerPass, BreakerRules } from './breaker.ts';
import { askBreaker, closedBreaker, reportToBreaker } from './breaker.ts';

const rules: BreakerRules = { failures: 3, windowMs: 10_000, openMs: 1_000, openMsMax: 3_000 };

/** Sends one request and reports it at once. */
function through(breaker: Breaker, outcome: BreakerOutcome, nowMs: number): Breaker {
  const asked = askBreaker(breaker, nowMs);
  if (asked.pass === undefined) return asked.breaker;
  return reportToBreaker(rules, asked.breaker, { pass: asked.pass, outcome, nowMs });
}

function opened(nowMs: number): Breaker {
  return [0, 0, 0].reduce<Breaker>((breaker) => through(breaker, 'bad', nowMs), closedBreaker);
}

describe('a closed breaker', () => {
  test('opens with the last of so many failures in a row, and lets nothing through', () => {
    const twice = through(through(closedBreaker, 'bad', 0), 'bad', 0);
    expect(twice.kind).toBe('closed');
    expect(opened(5)).toEqual({ kind: 'open', epoch: 1, untilMs: 1_005, openMs: 1_000 });
    expect(askBreaker(opened(5), 6)).toMatchObject({ pass: undefined, waitMs: 999 });
  });

  test('forgets failures with a success, and with time', () => {
    const reset = through(through(through(closedBreaker, 'bad', 0), 'bad', 0), 'good', 0);
    expect(through(reset, 'bad', 0)).toMatchObject({ kind: 'closed', failures: 1 });
    const old = through(through(closedBreaker, 'bad', 0), 'bad', 1);
    expect(through(old, 'bad', 10_001)).toMatchObject({ kind: 'closed', failures: 1 });
  });

  test('learns nothing from callers who leave', () => {
    const breaker = through(through(closedBreaker, 'bad', 0), 'bad', 0);
    expect(through(breaker, 'unknown', 0)).toBe(breaker);
  });
});

describe('an open breaker', () => {
  test('lets one request alone try again after its time, and closes with its success', () => {
    const asked = askBreaker(opened(0), 1_000);
    expect(asked.pass).toEqual({ epoch: 1, isProbe: true });
    expect(askBreaker(asked.breaker, 1_000).pass).toBeUndefined();
    expect(through(opened(0), 'good', 1_000)).toMatchObject({ kind: 'closed', epoch: 2 });
  });

  test('opens for twice as long with each probe that fails, up to its limit', () => {
    const second = through(opened(0), 'bad', 1_000);
    expect(second).toMatchObject({ kind: 'open', untilMs: 3_000, openMs: 2_000 });
    expect(through(second, 'bad', 3_000)).toMatchObject({ untilMs: 6_000, openMs: 3_000 });
  });

  test('hands the probe on when its caller leaves', () => {
    const left = through(opened(0), 'unknown', 1_000);
    expect(left).toMatchObject({ kind: 'probation', isProbing: false });
    expect(askBreaker(left, 1_000).pass?.isProbe).toBe(true);
  });

  test('does not wait for a clock that went back', () => {
    expect(askBreaker(opened(1_000_000), 0).pass?.isProbe).toBe(true);
  });

  test('is not closed or opened by requests of the time before it', () => {
    const early = askBreaker(closedBreaker, 0).pass;
    if (early === undefined) throw new Error('closed lets through');
    for (const outcome of ['good', 'bad'] as const) {
      const report = { pass: early, outcome, nowMs: 9 };
      expect(reportToBreaker(rules, opened(5), report)).toEqual(opened(5));
      const closedAgain = through(opened(0), 'good', 1_000);
      expect(reportToBreaker(rules, closedAgain, report)).toBe(closedAgain);
    }
  });
});

type Step =
  | { readonly do: 'ask' }
  | { readonly do: 'report'; readonly which: number; readonly outcome: BreakerOutcome }
  | { readonly do: 'wait'; readonly ms: number };

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<Step>({ do: 'ask' }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('report' as const),
        which: fc.nat(50),
        outcome: fc.constantFrom<BreakerOutcome>('good', 'bad', 'bad', 'unknown'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(4_000) }) },
  ),
  { maxLength: 200 },
);

/**
 * The model keeps what a person would: when it was opened, how many failures in a row came from requests that were
 * sent since the last change, and which request is the probe.
 */
test('whatever comes in whatever order, it does what a simple model says', () => {
  fc.assert(
    fc.property(steps, (plan) => {
      let breaker: Breaker = closedBreaker;
      let nowMs = 0;
      const away: BreakerPass[] = [];
      const model = {
        openUntilMs: -1,
        openMs: 0,
        changes: 0,
        failed: [] as number[],
        probing: false,
      };
      for (const step of plan) {
        if (step.do === 'wait') nowMs += step.ms;
        else if (step.do === 'ask') {
          const asked = askBreaker(breaker, nowMs);
          breaker = asked.breaker;
          const isOpen = model.openUntilMs >= 0;
          const mayProbe = isOpen && nowMs >= model.openUntilMs && !model.probing;
          expect(asked.pass !== undefined).toBe(!isOpen || mayProbe);
          if (asked.pass === undefined) {
            expect(asked.waitMs).toBeGreaterThan(0);
            continue;
          }
          expect(asked.pass.isProbe).toBe(mayProbe);
          if (mayProbe) model.probing = true;
          away.push(asked.pass);
        } else {
          const [pass] = away.splice(step.which % Math.max(1, away.length), 1);
          if (pass === undefined) continue;
          breaker = reportToBreaker(rules, breaker, { pass, outcome: step.outcome, nowMs });
          if (pass.epoch !== model.changes) continue;
          if (pass.isProbe) {
            model.probing = false;
            if (step.outcome === 'unknown') continue;
            model.changes += 1;
            model.failed = [];
            model.openMs =
              step.outcome === 'good' ? 0 : Math.min(model.openMs * 2, rules.openMsMax);
            model.openUntilMs = step.outcome === 'good' ? -1 : nowMs + model.openMs;
          } else if (step.outcome === 'good') model.failed = [];
          else if (step.outcome === 'bad') {
            const [first] = model.failed;
            if (first !== undefined && nowMs - first > rules.windowMs) model.failed = [];
            model.failed.push(nowMs);
            if (model.failed.length < rules.failures) continue;
            model.changes += 1;
            model.openMs = rules.openMs;
            model.openUntilMs = nowMs + model.openMs;
          }
        }
      }
    }),
    { numRuns: 500 },
  );
});
