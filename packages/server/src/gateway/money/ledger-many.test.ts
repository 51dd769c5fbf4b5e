import type { Budget } from '@postern/core/quota';
import { expect, test } from 'vitest';
import { createMemoryVault, openMemoryBank } from '../../../../../test/fakes/bank-memory.ts';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import { bankBatchChangesMax } from './bank.ts';
import { Ledger } from './ledger.ts';
import type { PaidAccount } from './terms.ts';

/** More accounts than one batch is about. */
const count = 2 * bankBatchChangesMax + 100;
const budget: Budget = { name: 'b', capacity: 1_000, per: 'user' };
const accountOf = (i: number): readonly PaidAccount[] => [{ account: `b/user:${i}`, budget }];

async function passing(clock: ReturnType<typeof createFakeClock>, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    clock.advance(1_000);
    // oxlint-disable-next-line no-await-in-loop -- one tick after the other
    for (let turn = 0; turn < 20; turn += 1) await new Promise((done) => setImmediate(done));
  }
}

async function world() {
  const clock = createFakeClock();
  const vault = createMemoryVault(() => clock.nowMs());
  const options = { bank: openMemoryBank(vault), clock, staleAfterMs: 0 };
  const ledger = new Ledger({ ...options, process: 'p' });
  await ledger.begin();
  const pay = async (name: string, cost: number): Promise<void> => {
    await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        expect((await ledger.reserve(`${name}${i}`, accountOf(i), 100)).ok).toBe(true);
        ledger.settle(`${name}${i}`, cost);
      }),
    );
  };
  const states = () => [...vault.accounts.values()];
  return { clock, vault, ledger, pay, states };
}

test('however many accounts were used, all of them are reported', async () => {
  const { ledger, pay, states } = await world();
  await pay('a', 10);
  await ledger.flush();
  expect(states().filter(({ spent }) => spent !== 10)).toEqual([]);
});

test('an account that rested goes on where it was, and a clean stop ends what rests', async () => {
  const { clock, ledger, pay, states, vault } = await world();
  await pay('a', 10);
  await passing(clock, 10);
  expect(states().filter(({ balance }) => balance !== 990)).toEqual([]);
  await pay('b', 20);
  ledger.owe(accountOf(0), 30);
  await passing(clock, 10);
  expect(vault.accounts.get('b/user:0')).toMatchObject({ spent: 60, balance: 940 });
  expect(
    states()
      .slice(1)
      .filter(({ spent, balance }) => spent !== 30 || balance !== 970),
  ).toEqual([]);
  expect((await ledger.reserve('d', accountOf(1), 970)).ok).toBe(true);
  ledger.settle('d', 1_000);
  await ledger.close();
  expect(vault.accounts.get('b/user:1')).toMatchObject({ spent: 1_030, balance: -30 });
  expect(states().filter(({ slices, lost }) => slices.length > 0 || lost > 0)).toEqual([]);
});

test('an account whose slice others ended while it rested gets a new one', async () => {
  const { clock, vault, ledger } = await world();
  expect((await ledger.reserve('a', accountOf(0), 100)).ok).toBe(true);
  ledger.settle('a', 100);
  await passing(clock, 10);
  const other = new Ledger({
    bank: openMemoryBank(vault),
    clock,
    staleAfterMs: 0,
    process: 'other',
  });
  await other.begin();
  expect(vault.accounts.get('b/user:0')).toMatchObject({ slices: [], spent: 100, lost: 0 });
  ledger.owe(accountOf(0), 50);
  expect((await ledger.reserve('c', accountOf(0), 850)).ok).toBe(true);
  expect((await ledger.reserve('d', accountOf(0), 1)).ok).toBe(false);
  ledger.settle('c', 200);
  await ledger.close();
  expect(vault.accounts.get('b/user:0')).toMatchObject({ slices: [], spent: 350, lost: 0 });
});

test('an account that rested also takes what costs nothing', async () => {
  const { clock, ledger } = await world();
  expect((await ledger.reserve('a', accountOf(0), 100)).ok).toBe(true);
  ledger.settle('a', 100);
  await passing(clock, 10);
  expect((await ledger.reserve('b', accountOf(0), 0)).ok).toBe(true);
});
