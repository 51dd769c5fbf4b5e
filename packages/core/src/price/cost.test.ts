import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { freePrice, highestPrice } from './book.ts';
import type { BilledUsage } from './cost.ts';
import { costCeiling, costOf, countMax, exactCost } from './cost.ts';
import { priceFaults } from './fault.ts';
import type { ModelPrice } from './model.ts';
import { priceSnapshot } from './snapshot.generated.ts';

const none: BilledUsage = {
  input: 0,
  cacheRead: 0,
  cacheWrite: 0,
  cacheWriteHour: 0,
  output: 0,
  reasoning: 0,
};
const cost = (price: ModelPrice, usage: Partial<BilledUsage>): number => {
  const result = costOf(price, { ...none, ...usage });
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
};
/** 2 USD and 8 USD per million; dearer above 1,000 prompt tokens. */
const stepped: ModelPrice = {
  rates: { input: 2_000_000_000, cacheRead: 500_000_000, output: 8_000_000_000 },
  steps: [
    {
      aboveTokens: 1_000,
      rates: { input: 4_000_000_000, cacheRead: 1_000_000_000, output: 12_000_000_000 },
    },
  ],
};

const count = fc.integer({ min: 0, max: 2_000_000 });
const usages: fc.Arbitrary<BilledUsage> = fc
  .record({
    input: count,
    cacheRead: count,
    cacheWrite: count,
    hour: fc.double({ min: 0, max: 1, noNaN: true }),
    output: count,
    thought: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ hour, thought, ...rest }) => ({
    ...rest,
    cacheWriteHour: Math.floor(rest.cacheWrite * hour),
    reasoning: Math.floor(rest.output * thought),
  }));
const prices = fc.constantFrom(
  ...priceSnapshot.vendors
    .flatMap((vendor) => vendor.models)
    .flatMap((model) => model.periods.map((period) => period.price))
    .filter((price) => price.rates.input !== undefined && price.rates.output !== undefined),
);

describe('costOf', () => {
  test('bills each class at its own rate and a class without one like the class that it is part of', () => {
    expect(cost(stepped, { input: 500, cacheRead: 400, output: 100 })).toBe(
      500 * 2_000 + 400 * 500 + 100 * 8_000,
    );
    expect(cost(stepped, { output: 100, reasoning: 60 })).toBe(100 * 8_000);
    expect(
      cost(
        { rates: { ...stepped.rates, reasoning: 1_000_000_000 } },
        { output: 100, reasoning: 60 },
      ),
    ).toBe(40 * 8_000 + 60 * 1_000);
    expect(cost(stepped, { cacheWrite: 10 })).toBe(10 * 2_000);
  });

  test('bills an hour write without a rate at twice the input', () => {
    expect(cost(stepped, { cacheWrite: 10, cacheWriteHour: 4 })).toBe(6 * 2_000 + 4 * 4_000);
  });

  test('bills the whole request at the step of its prompt, cached tokens included', () => {
    expect(cost(stepped, { input: 600, cacheRead: 400, output: 1 })).toBe(
      600 * 2_000 + 400 * 500 + 8_000,
    );
    expect(cost(stepped, { input: 601, cacheRead: 400, output: 1 })).toBe(
      601 * 4_000 + 400 * 1_000 + 12_000,
    );
  });

  test('rounds up once, so that nothing is too small to cost anything', () => {
    const tiny: ModelPrice = { rates: { input: 1, output: 1 } };
    expect([
      cost(tiny, { input: 1 }),
      cost(tiny, { input: 1_000_000 }),
      cost(tiny, { input: 1_000_001, output: 1 }),
    ]).toEqual([1, 1, 2]);
    expect(cost(tiny, {})).toBe(0);
  });

  test('bills searches, sound and pictures', () => {
    const price: ModelPrice = {
      rates: {
        input: 1_000_000,
        inputAudio: 5_000_000,
        output: 1_000_000,
        outputImage: 9_000_000,
        webSearches: 10_000_000_000_000,
      },
    };
    expect(
      cost(price, { input: 10, inputAudio: 4, output: 3, outputImage: 1, webSearches: 2 }),
    ).toBe(6 + 20 + 2 + 9 + 20_000_000);
  });

  test('refuses what nobody priced instead of giving it away', () => {
    expect(costOf({ rates: { input: 1 } }, { ...none, output: 1 })).toEqual({
      ok: false,
      error: { kind: 'unpriced', field: 'output' },
    });
    expect(costOf({ rates: { output: 1 } }, { ...none, cacheRead: 1 })).toEqual({
      ok: false,
      error: { kind: 'unpriced', field: 'cacheRead' },
    });
    expect(costOf(stepped, { ...none, webSearches: 1 })).toEqual({
      ok: false,
      error: { kind: 'unpriced', field: 'webSearches' },
    });
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, countMax + 1, Number.MAX_SAFE_INTEGER])(
    'refuses the count %d',
    (value) => {
      expect(costOf(stepped, { ...none, input: value })).toEqual({
        ok: false,
        error: { kind: 'bad-usage', field: 'input' },
      });
      expect(costOf(freePrice, { ...none, reasoning: value }).ok).toBe(false);
    },
  );

  test('refuses parts that exceed their whole', () => {
    expect(costOf(stepped, { ...none, output: 1, reasoning: 2 })).toEqual({
      ok: false,
      error: { kind: 'bad-usage', field: 'output' },
    });
    expect(costOf(stepped, { ...none, cacheWrite: 1, cacheWriteHour: 2 })).toEqual({
      ok: false,
      error: { kind: 'bad-usage', field: 'cacheWrite' },
    });
  });

  test('refuses a cost that no amount can hold, and is exact just below', () => {
    expect(
      costOf({ rates: { input: 1_000_000_000_000_000 } }, { ...none, input: 9_000_000 }),
    ).toEqual({ ok: true, value: 9_000_000_000_000_000 });
    expect(
      costOf({ rates: { input: 1_000_000_000_000_000 } }, { ...none, input: 9_000_001 }),
    ).toEqual({ ok: false, error: { kind: 'too-large' } });
  });
});

describe('properties over every price of the snapshot', () => {
  test('using more never costs less', () => {
    fc.assert(
      fc.property(
        prices,
        usages,
        fc.constantFrom('input', 'cacheRead', 'cacheWrite', 'output'),
        count,
        (price, usage, field, more) => {
          expect(cost(price, { ...usage, [field]: usage[field] + more })).toBeGreaterThanOrEqual(
            cost(price, usage),
          );
        },
      ),
    );
  });

  test('the exact cost of two usages at the same step is the sum of theirs', () => {
    fc.assert(
      fc.property(prices, usages, usages, (price, a, b) => {
        const flat: ModelPrice = { rates: price.rates };
        const sum = Object.fromEntries(
          Object.keys(none).map((key) => [
            key,
            a[key as keyof BilledUsage]! + b[key as keyof BilledUsage]!,
          ]),
        );
        const both = exactCost(flat, { ...none, ...sum });
        const [left, right] = [exactCost(flat, a), exactCost(flat, b)];
        if (!both.ok || !left.ok || !right.ok) throw new Error('unpriced');
        expect(both.value).toBe(left.value + right.value);
      }),
    );
  });

  test('a stream that is charged as it goes costs exactly what the whole answer costs', () => {
    fc.assert(
      fc.property(
        prices,
        usages,
        fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 30 }),
        (price, usage, steps) => {
          const whole = {
            ...usage,
            reasoning: 0,
            output: steps.reduce((sum, step) => sum + step, 0),
          };
          let charged = 0;
          let output = 0;
          for (const step of [0, ...steps]) {
            output += step;
            charged += cost(price, { ...whole, output }) - charged;
          }
          expect(charged).toBe(cost(price, whole));
        },
      ),
    );
  });

  test('a reservation of the ceiling covers every usage within the expected counts', () => {
    fc.assert(
      fc.property(prices, usages, (price, usage) => {
        const inputTokens = usage.input + usage.cacheRead + usage.cacheWrite;
        const ceiling = costCeiling(price, {
          inputTokens,
          outputTokens: usage.output,
          hourWrites: true,
        });
        if (!ceiling.ok) throw new Error('no ceiling');
        expect(cost(price, usage)).toBeLessThanOrEqual(ceiling.value);
        const without = costCeiling(price, { inputTokens, outputTokens: usage.output });
        if (!without.ok) throw new Error('no ceiling');
        expect(cost(price, { ...usage, cacheWriteHour: 0 })).toBeLessThanOrEqual(without.value);
      }),
    );
  });

  test('the highest price is never below any other, and self-hosted costs nothing', () => {
    const highest = highestPrice(priceSnapshot);
    expect(priceFaults(highest)).toEqual([]);
    fc.assert(
      fc.property(prices, usages, (price, usage) => {
        expect(cost(highest, usage)).toBeGreaterThanOrEqual(cost(price, usage));
        expect(cost(freePrice, usage)).toBe(0);
      }),
    );
  });
});

test('what only text was billed for costs what the look at every class says, and is refused as there', () => {
  const anyCount = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(0, 0, 1, 999, 2_000_000) },
    { weight: 1, arbitrary: fc.constantFrom(-1, 0.5, Number.NaN, countMax, countMax + 1) },
  );
  const usage = fc.record({
    input: anyCount,
    cacheRead: anyCount,
    cacheWrite: anyCount,
    cacheWriteHour: anyCount,
    output: anyCount,
    reasoning: anyCount,
  });
  const rate = fc.option(fc.constantFrom(0, 1, 75_000, 1_250_000_000, 9_007_199_254), {
    nil: undefined,
  });
  const rates = fc.record({
    input: rate,
    cacheRead: rate,
    cacheWrite: rate,
    cacheWriteHour: rate,
    output: rate,
    reasoning: rate,
  });
  fc.assert(
    fc.property(rates, usage, (text, counts) => {
      const named = Object.entries(text).filter(([, value]) => value !== undefined);
      const price: ModelPrice = { rates: { ...Object.fromEntries(named), storageSearches: 1 } };
      const alone = exactCost(price, counts);
      // A search makes every class be looked at.
      const searched = exactCost(price, { ...counts, storageSearches: 1 });
      expect(alone).toEqual(searched.ok ? { ok: true, value: searched.value - 1n } : searched);
    }),
    { numRuns: 3_000 },
  );
});
