import fc from 'fast-check';
import { expect, test } from 'vitest';
import { slowDecimals } from './decimals.ts';

test.each([0, 7, 999, 1_000, 1_001, 9_999, 1_000_000, 1_795_336_040_123, Number.MAX_SAFE_INTEGER])(
  '%d is written as String writes it',
  (value) => {
    expect(slowDecimals()(value)).toBe(String(value));
  },
);

test('whatever comes after whatever, it is what String writes', () => {
  const value = fc.oneof(fc.nat(5_000), fc.maxSafeInteger(), fc.double());
  fc.assert(
    fc.property(fc.array(value, { maxLength: 20 }), (values) => {
      const write = slowDecimals();
      for (const each of values) expect(write(each)).toBe(String(each));
    }),
  );
});
