import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RateLimit, RateState } from './gcra.ts';
import { correctRate, decide, freshRate, rateHeadroom, rateLimitFault } from './gcra.ts';

const perMinute: RateLimit = { units: 60, periodMs: 60_000, burst: 5 };

/** Tries each cost at its time; what was admitted. */
function admitted(
  limit: RateLimit,
  tries: readonly (readonly [atMs: number, cost: number])[],
): number[] {
  let state: RateState = freshRate(tries[0]?.[0] ?? 0);
  return tries.map(([atMs, cost]) => {
    const decision = decide(limit, state, atMs, cost);
    state = decision.state;
    return decision.allowed ? cost : 0;
  });
}
const sum = (list: readonly number[]) => list.reduce((total, each) => total + each, 0);

const limits = fc
  .record({
    units: fc.integer({ min: 1, max: 1_000_000 }),
    periodMs: fc.integer({ min: 1, max: 86_400_000 }),
    burst: fc.integer({ min: 1, max: 100_000 }),
  })
  .filter((limit) => rateLimitFault(limit) === undefined);

describe('decide', () => {
  test('admits the burst at once, then one for each interval', () => {
    const tries = [0, 0, 0, 0, 0, 0, 999, 1_000, 1_000, 2_000].map((at) => [at, 1] as const);
    expect(admitted(perMinute, tries)).toEqual([1, 1, 1, 1, 1, 0, 0, 1, 0, 1]);
  });

  test('N at once against room for k admit exactly k', () => {
    expect(
      sum(
        admitted(
          perMinute,
          Array.from({ length: 500 }, () => [7, 1] as const),
        ),
      ),
    ).toBe(5);
  });

  test('says when to come again, to the millisecond', () => {
    fc.assert(
      fc.property(
        limits,
        fc.array(fc.tuple(fc.nat(100_000), fc.nat(1_000)), { minLength: 1, maxLength: 20 }),
        (limit, tries) => {
          let state = freshRate(0);
          let now = 0;
          for (const [waitMs, cost] of tries) {
            now += waitMs;
            const decision = decide(limit, state, now, cost);
            state = decision.state;
            if (decision.allowed || decision.retryAfterMs === undefined) continue;
            expect(decision.retryAfterMs).toBeGreaterThan(0);
            expect(decide(limit, state, now + decision.retryAfterMs, cost).allowed).toBe(true);
            expect(decide(limit, state, now + decision.retryAfterMs - 1, cost).allowed).toBe(false);
          }
        },
      ),
    );
  });

  test('in no span of time are there more than the burst and what the span refills', () => {
    fc.assert(
      fc.property(
        limits,
        fc.array(fc.tuple(fc.nat(120_000), fc.nat(2_000)), { minLength: 1, maxLength: 40 }),
        (limit, steps) => {
          let now = 0;
          const tries = steps.map(([waitMs, cost]) => [(now += waitMs), cost] as const);
          const list = admitted(limit, tries);
          for (let from = 0; from < tries.length; from += 1) {
            for (let to = from; to < tries.length; to += 1) {
              const spanMs = tries[to]![0] - tries[from]![0];
              expect(sum(list.slice(from, to + 1)) * limit.periodMs).toBeLessThanOrEqual(
                limit.burst * limit.periodMs + spanMs * limit.units,
              );
            }
          }
        },
      ),
    );
  });

  test('a clock that jumps about grants no more than the burst and what its steps forward refill', () => {
    fc.assert(
      fc.property(
        limits,
        fc.array(fc.tuple(fc.integer({ min: -86_400_000, max: 86_400_000 }), fc.nat(2_000)), {
          minLength: 1,
          maxLength: 40,
        }),
        (limit, steps) => {
          let now = 1_800_000_000_000;
          const tries = steps.map(([stepMs, cost]) => [(now += stepMs), cost] as const);
          const list = admitted(limit, tries);
          const forwardMs = sum(steps.slice(1).map(([stepMs]) => Math.max(0, stepMs)));
          expect(sum(list) * limit.periodMs).toBeLessThanOrEqual(
            limit.burst * limit.periodMs + forwardMs * limit.units,
          );
        },
      ),
    );
  });

  test('a clock that is set back a day locks nobody out for a day', () => {
    const day = 86_400_000;
    const tries = [
      ...Array.from({ length: 5 }, () => [day, 1] as const),
      [0, 1],
      [999, 1],
      [1_000, 1],
    ] as const;
    expect(admitted(perMinute, tries)).toEqual([1, 1, 1, 1, 1, 0, 0, 1]);
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 6, Number.MAX_SAFE_INTEGER])(
    'never admits the cost %d, and does not charge it',
    (cost) => {
      const decision = decide(perMinute, freshRate(0), 0, cost);
      expect(decision).toEqual({ allowed: false, state: { backlog: 0, atMs: 0 } });
    },
  );

  test('a time that is no number is a bug, not a free pass', () => {
    expect(() => decide(perMinute, freshRate(0), Number.NaN, 1)).toThrow('time is a finite number');
  });
});

describe('correctRate', () => {
  test('charges what came out dearer, without limit by the burst', () => {
    let state = correctRate(perMinute, freshRate(0), 0, 7);
    expect(rateHeadroom(perMinute, state, 0)).toEqual({ remaining: 0, resetMs: 7_000 });
    const decision = decide(perMinute, state, 0, 1);
    expect(decision).toMatchObject({ allowed: false, retryAfterMs: 3_000 });
    state = correctRate(perMinute, state, 0, -3);
    expect(rateHeadroom(perMinute, state, 0)).toEqual({ remaining: 1, resetMs: 4_000 });
  });

  test('gives back no more than was taken, and nobody owes more than sixteen bursts', () => {
    expect(correctRate(perMinute, freshRate(0), 0, -1_000).backlog).toBe(0);
    expect(
      rateHeadroom(perMinute, correctRate(perMinute, freshRate(0), 0, Number.MAX_VALUE), 0).resetMs,
    ).toBe(80_000);
    expect(() => correctRate(perMinute, freshRate(0), 0, Number.NaN)).toThrow(
      'a correction is a number',
    );
  });
});

test.each([
  [{ units: 0, periodMs: 1, burst: 1 }, 'units, period and burst are whole numbers above zero'],
  [
    { units: 1, periodMs: Number.NaN, burst: 1 },
    'units, period and burst are whole numbers above zero',
  ],
  [{ units: 1, periodMs: 1, burst: 1.5 }, 'units, period and burst are whole numbers above zero'],
  [{ units: 1, periodMs: 31 * 86_400_000 + 1, burst: 1 }, 'the period is at most 31 days'],
  [
    { units: 1, periodMs: 86_400_000, burst: 10_000_000 },
    'burst × periodMs and units are at most 140000000000000',
  ],
])('%j is no limit', (limit, why) => {
  expect(rateLimitFault(limit)).toBe(why);
});
