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
  const lease = async (need: number): Promise<number | undefined> => {
    const [budget] = terms.budgets;
    if (budget === undefined) throw new Error('there is a budget');
    settled += need;
    seq += 1;
    const slice = { account: budget.name, slice: 'p' };
    const changes = [
      { kind: 'lease', budget, ...slice, need, want: need },
      { kind: 'report', ...slice, settled },
    ] as const;
    const done = await bank.change({ process: 'p', seq, changes, usage: [] });
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
