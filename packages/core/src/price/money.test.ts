import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNanoUsd, nanoUsdMax, nanoUsdOf, ratesOfUsd, usdText } from './money.ts';

describe('amounts', () => {
  test.each([
    ['0', 0],
    ['1', 1_000_000_000],
    ['12.50', 12_500_000_000],
    ['0.000000001', 1],
    ['9000000', 9_000_000_000_000_000],
    [2.5, 2_500_000_000],
    [0.1, 100_000_000],
  ])('%s USD are %d nano-USD', (usd, nano) => {
    expect(nanoUsdOf(usd)).toEqual({ ok: true, value: nano });
  });

  test.each([
    '',
    '-1',
    '+1',
    '1e3',
    '1.',
    '.5',
    '1.0000000001',
    '9000000.000000001',
    '10000000',
    ' 1',
    '1_000',
    'NaN',
    '١',
  ])('"%s" is no amount', (usd) => {
    expect(nanoUsdOf(usd).ok).toBe(false);
  });

  test.each([1e-7, -1, Number.NaN, Number.POSITIVE_INFINITY, 0.1 + 0.2])(
    'the number %d is no amount',
    (usd) => {
      expect(nanoUsdOf(usd).ok).toBe(false);
    },
  );

  test('an amount reads back as it was written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: nanoUsdMax }), (amount) => {
        expect(nanoUsdOf(usdText(amount))).toEqual({ ok: true, value: amount });
      }),
    );
  });

  test('amounts print with cents at least, and with a sign where they are owed', () => {
    expect([0, 1, 1_500_000_000, -2_000_000_010].map(usdText)).toEqual([
      '0.00',
      '0.000000001',
      '1.50',
      '-2.00000001',
    ]);
  });

  test('the sum of two amounts never rounds to an amount when it is none', () => {
    expect(isNanoUsd(nanoUsdMax)).toBe(true);
    expect(isNanoUsd(nanoUsdMax + 1)).toBe(false);
    expect(isNanoUsd(nanoUsdMax + nanoUsdMax)).toBe(false);
    expect([-1, 0.5, Number.NaN].some(isNanoUsd)).toBe(false);
  });
});

describe('rates as people write them', () => {
  test('are USD for a million tokens and for a thousand searches', () => {
    expect(ratesOfUsd({ input: '2.50', output: 10, webSearches: '10', cacheRead: 0 })).toEqual({
      ok: true,
      value: {
        input: 2_500_000_000,
        output: 10_000_000_000,
        webSearches: 10_000_000_000_000,
        cacheRead: 0,
      },
    });
  });

  test.each([
    [{ inputs: '1' }, 'there is no class "inputs" that is billed'],
    [{ input: '-1' }, 'input: an amount in USD is a decimal'],
    [{ input: '1000001' }, 'input: above a million USD per million'],
    [{ __proto__x: 1 }, 'there is no class'],
  ])('%j are refused', (fields, why) => {
    const rates = ratesOfUsd(fields);
    expect(rates.ok ? '' : rates.error).toContain(why);
  });
});
