import type { BudgetConfig } from '@postern/core/contract';
import { expect, test } from 'vitest';
import { createMemoryVault, openMemoryBank } from '../../../../../test/fakes/bank-memory.ts';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import { MoneyDesk } from './desk.ts';
import { Terms } from './terms.ts';

const dayMs = 86_400_000;

interface World {
  readonly desk: MoneyDesk;
  /** What a process hears that asks for nothing. */
  readonly left: () => Promise<number | undefined>;
  readonly spend: (amount: number) => Promise<void>;
  /** Each of these accounts, once. */
  readonly spendOf: (accounts: readonly string[], amount: number) => Promise<void>;
  readonly reload: (budgets: Readonly<Record<string, BudgetConfig>>) => void;
  readonly advance: (ms: number) => void;
}

const monthly = (usd: string, refill: BudgetConfig['refill'] = 'boundary'): BudgetConfig => ({
  usd,
  every: 'month',
  refill,
  per: 'all',
  match: ['*'],
});

function world(budgets: Readonly<Record<string, BudgetConfig>>): World {
  const clock = createFakeClock();
  const bank = openMemoryBank(createMemoryVault(() => clock.nowMs()));
  let terms = new Terms({ budgets, limits: {} });
  let seq = 0;
  let settled = 0;
  const change = async (account: readonly string[], need: number, inAll: number) => {
    const [budget] = terms.budgets;
    if (budget === undefined) throw new Error('there is a budget');
    seq += 1;
    const changes = account.flatMap((each) => {
      const slice = { account: each, slice: 'p' };
      return [
        { kind: 'lease', budget, ...slice, need, want: need },
        { kind: 'report', ...slice, settled: inAll },
      ] as const;
    });
    return bank.change({ process: 'p', seq, changes, usage: [] });
  };
  const lease = async (need: number): Promise<number | undefined> => {
    settled += need;
    const done = await change(['team'], need, settled);
    return done.ok ? done.value[1]?.balance : undefined;
  };
  const desk = new MoneyDesk({
    bank,
    ledger: () => undefined,
    terms: () => terms,
    newId: () => 'op',
    nowMs: () => clock.nowMs(),
  });
  return {
    desk,
    left: () => lease(0),
    spend: async (amount) => {
      await lease(amount);
    },
    spendOf: async (accounts, amount) => {
      await change(accounts, amount, amount);
    },
    reload: (changed) => {
      terms = new Terms({ budgets: changed, limits: {} });
    },
    advance: (ms) => clock.advance(ms),
  };
}

test.each([
  ['raised', '0.00000005', '0.0000001', '0.0000001', 100],
  ['lowered', '0.0000001', '0.00000005', '0.00000005', 50],
])(
  'a budget that was %s over a boundary shows what can be spent',
  async (_, from, to, shown, nano) => {
    const here = world({ team: monthly(from) });
    await here.spend(40);
    here.advance(32 * dayMs);
    here.reload({ team: monthly(to) });
    expect(await here.desk.accounts()).toMatchObject({
      ok: true,
      value: [{ account: 'team', capacity_usd: shown, remaining_usd: shown }],
    });
    expect(await here.left()).toBe(nano);
  },
);

test('a budget that was lowered within its period shows what is over the new amount', async () => {
  const here = world({ team: monthly('0.0000001') });
  await here.spend(90);
  here.reload({ team: monthly('0.00000005') });
  expect(await here.desk.accounts()).toMatchObject({
    value: [{ remaining_usd: '-0.00000004', spent_usd: '0.00000009' }],
  });
  expect(await here.left()).toBe(-40);
});

test('of more accounts than one page has, every one is shown, found by its name and filled up', async () => {
  const budget: BudgetConfig = { ...monthly('0.000001'), per: 'user' };
  const here = world({ each: budget });
  const names = Array.from({ length: 1_500 }, (_, i) => `each/user:u${10_000 + i}`);
  await here.spendOf(names.slice(0, 500), 1_000);
  await here.spendOf(names.slice(500, 1_000), 1_000);
  await here.spendOf(names.slice(1_000), 1_000);
  const last = names.at(-1) ?? '';
  expect(await here.desk.accounts([last])).toMatchObject({
    value: [{ account: last, remaining_usd: '0.00' }],
  });
  const done = await here.desk.credit('each', undefined);
  expect(done.ok && done.value.length).toBe(1_500);
  const after = await here.desk.accounts();
  expect(after.ok && after.value.filter((each) => each.remaining_usd === '0.000001').length).toBe(
    1_500,
  );
});

test('only accounts that callers can have are filled up, each alone', async () => {
  const here = world({ each: { ...monthly('0.000001'), per: 'user' } });
  const accounts = ['each/user:x', 'each/user:x/y'];
  await here.spendOf(accounts, 1_000);
  expect(await here.desk.credit('each/user:x', undefined)).toMatchObject({
    value: [{ account: 'each/user:x', remaining_usd: '0.000001' }],
  });
  expect(await here.desk.accounts(['each/user:x/y'])).toMatchObject({
    value: [{ remaining_usd: '0.00' }],
  });
  // oxlint-disable-next-line no-await-in-loop -- one question after the other
  for (const [name, kind] of [
    ['each/', 'no-account'],
    ['each/key:x', 'no-account'],
    ['each/user:', 'no-account'],
    ['each/user:nobody', 'unused'],
    ['other', 'no-budget'],
  ] as const)
    expect(await here.desk.credit(name, undefined)).toMatchObject({ ok: false, error: { kind } });
  here.reload({ each: monthly('0.000001') });
  expect(await here.desk.credit('each/user:x', undefined)).toMatchObject({
    error: { kind: 'no-account' },
  });
  const shown = await here.desk.accounts();
  expect(shown.ok && shown.value.map(({ account }) => account)).toEqual([...accounts, 'each']);
});
