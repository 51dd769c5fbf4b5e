import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RateState } from './gcra.ts';
import { correctRate, decide, freshRate, rateHeadroom } from './gcra.ts';
import { RateBucket } from './rate-bucket.ts';

const begun = 1_760_000_000_000;

test('is what the states of its limit are, whatever comes and however the clock goes', () => {
  // One that a reload changes keeps the bucket.
  const limit = fc.constantFrom(
    { units: 60, periodMs: 60_000, burst: 60 },
    { units: 7, periodMs: 60_000, burst: 3 },
    { units: 1_000_000_000, periodMs: 60_000, burst: 1_000_000_000 },
  );
  const step = fc.record({
    limit,
    afterMs: fc.constantFrom(0, 0.4, 1, 999, 60_000, -5_000, 40_000_000),
    act: fc.constantFrom('ask', 'ask', 'correct' as const),
    units: fc.constantFrom(0, 1, 2, 61, 1_500, -3, -1_500, 0.5, 100_000, Number.NaN),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      let now = begun;
      let state: RateState = freshRate(now);
      const bucket = new RateBucket(now);
      for (const { limit: terms, afterMs, act, units } of steps) {
        now += afterMs;
        if (act === 'correct' && !Number.isNaN(units)) {
          state = correctRate(terms, state, now, units);
          bucket.correct(terms, now, units);
        } else {
          const decision = decide(terms, state, now, units);
          ({ state } = decision);
          const refusal = bucket.refusal(terms, now, units);
          expect(refusal?.retryAfterMs).toBe(decision.allowed ? undefined : decision.retryAfterMs);
          expect(refusal === undefined).toBe(decision.allowed);
          if (refusal === undefined) bucket.count(terms, units);
        }
        expect(bucket.room(terms, now)).toEqual(rateHeadroom(terms, state, now));
      }
    }),
    { numRuns: 500 },
  );
});
