import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RateState } from './gcra.ts';
import { correctRate, decide, freshRate, rateHeadroom } from './gcra.ts';
import { RateBucket } from './rate-bucket.ts';

const begun = 1_760_000_000_000;

test('is what the states of its limit are, whatever comes and however the clock goes', () => {
  const limits = fc.constantFrom(
    { units: 60, periodMs: 60_000, burst: 60 },
    { units: 7, periodMs: 60_000, burst: 3 },
    { units: 1_000_000_000, periodMs: 60_000, burst: 1_000_000_000 },
  );
  const step = fc.record({
    afterMs: fc.constantFrom(0, 0.4, 1, 999, 60_000, -5_000, 40_000_000),
    act: fc.constantFrom('ask', 'ask', 'correct' as const),
    units: fc.constantFrom(0, 1, 2, 61, 1_500, -3, -1_500, 0.5, 100_000, Number.NaN),
  });
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 80 }), (limit, steps) => {
      let now = begun;
      let state: RateState = freshRate(now);
      const bucket = new RateBucket(now);
      for (const { afterMs, act, units } of steps) {
        now += afterMs;
        if (act === 'correct' && !Number.isNaN(units)) {
          state = correctRate(limit, state, now, units);
          bucket.correct(limit, now, units);
        } else {
          const decision = decide(limit, state, now, units);
          ({ state } = decision);
          const refusal = bucket.refusal(limit, now, units);
          expect(refusal?.retryAfterMs).toBe(decision.allowed ? undefined : decision.retryAfterMs);
          expect(refusal === undefined).toBe(decision.allowed);
          if (refusal === undefined) bucket.count(limit, units);
        }
        expect(bucket.room(limit, now)).toEqual(rateHeadroom(limit, state, now));
      }
    }),
    { numRuns: 500 },
  );
});
