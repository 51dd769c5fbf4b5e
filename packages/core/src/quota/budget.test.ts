import { expect, test } from 'vitest';
import type { Budget } from './budget.ts';
import { accountKeys, boundaryIndex, boundaryMs, budgetFault, isAccountOf } from './budget.ts';

const budget = (per: Budget['per']): Budget => ({ name: 'research', capacity: 10, per });

test('a caller pays from the account of what the budget counts by', () => {
  const payer = {
    user: 'u:1',
    node: 'n1',
    tags: ['tag:ci', 'tag:gpu', 'tag:ci'],
    app: 'a/b',
    key: 'k1',
  };
  expect(accountKeys(budget('all'), {})).toEqual({ ok: true, value: ['research'] });
  expect(accountKeys(budget('user'), payer)).toEqual({ ok: true, value: ['research/user:u:1'] });
  expect(accountKeys(budget('node'), payer)).toEqual({ ok: true, value: ['research/node:n1'] });
  expect(accountKeys(budget('app'), payer)).toEqual({ ok: true, value: ['research/app:a/b'] });
  expect(accountKeys(budget('key'), payer)).toEqual({ ok: true, value: ['research/key:k1'] });
  expect(accountKeys(budget('tag'), payer)).toEqual({
    ok: true,
    value: ['research/tag:tag:ci', 'research/tag:tag:gpu'],
  });
});

test('an account belongs to a budget if somebody could pay from it', () => {
  const payer = { user: 'u', node: 'n', tags: ['tag:a', 'tag:b/c'], app: 'a/b', key: 'k' };
  for (const per of ['all', 'user', 'node', 'tag', 'app', 'key'] as const) {
    const keys = accountKeys(budget(per), payer);
    expect(keys.ok && keys.value.every((name) => isAccountOf(budget(per), name))).toBe(true);
  }
  for (const name of ['research/', 'research/user:u', 'research2', ''])
    expect(isAccountOf(budget('all'), name)).toBe(false);
  for (const name of ['research', 'research/', 'research/user:', 'research/key:k', 'other/user:u'])
    expect(isAccountOf(budget('user'), name)).toBe(false);
});

test('a budget per user refuses a caller that is no user, instead of charging nobody', () => {
  expect(accountKeys(budget('user'), { node: 'n1' })).toEqual({
    ok: false,
    error: 'budget research counts per user, which this caller has 0 of',
  });
  expect(accountKeys(budget('tag'), { tags: [] }).ok).toBe(false);
  expect(accountKeys(budget('key'), { key: '' }).ok).toBe(false);
  expect(
    accountKeys(budget('tag'), { tags: Array.from({ length: 65 }, (_, i) => `tag:${i}`) }).ok,
  ).toBe(false);
});

test.each([
  [{ name: 'A', capacity: 1, per: 'all' }, 'a name is lower case letters, digits and hyphens'],
  [
    { name: 'a', capacity: -1, per: 'all' },
    'the capacity is an integer from 0 to 9000000000000000',
  ],
  [
    { name: 'a', capacity: Number.NaN, per: 'all' },
    'the capacity is an integer from 0 to 9000000000000000',
  ],
  [
    { name: 'a', capacity: 1, per: 'all', refill: { amount: 0, every: 'day', style: 'steady' } },
    'a refill is an integer from 1 to 9000000000000000',
  ],
  [
    { name: 'a', capacity: 1, per: 'all', refill: { amount: 0.1, every: 'day', style: 'steady' } },
    'a refill is an integer from 1 to 9000000000000000',
  ],
] as const)('%j is no budget', (value, why) => {
  expect(budgetFault(value)).toBe(why);
});

test('days, weeks from Monday and months begin in UTC', () => {
  const at = Date.parse('2026-02-28T23:59:59.999Z');
  const next = Date.parse('2026-03-01T00:00:00Z');
  expect(boundaryMs('day', boundaryIndex('day', at) + 1)).toBe(next);
  expect(boundaryMs('month', boundaryIndex('month', at) + 1)).toBe(next);
  expect(new Date(boundaryMs('week', boundaryIndex('week', at))).toISOString()).toBe(
    '2026-02-23T00:00:00.000Z',
  );
  expect(boundaryIndex('month', Date.parse('2026-12-31T12:00:00Z')) + 1).toBe(
    boundaryIndex('month', Date.parse('2027-01-01T00:00:00Z')),
  );
});
