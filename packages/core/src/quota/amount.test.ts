import { nanoUsdMax } from '@postern/core/price';
import { expect, test } from 'vitest';
import { amountMax, isAmount } from './amount.ts';

test('accounts hold what prices can say, and no more', () => {
  expect(amountMax).toBe(nanoUsdMax);
  expect([0, 1, amountMax].every(isAmount)).toBe(true);
  expect([-1, 0.5, amountMax + 1, 2 * amountMax, Number.NaN].some(isAmount)).toBe(false);
});
