import { accountsPerRequestMax, amountMax } from '@postern/core/quota';
import type { Budget } from '@postern/core/quota';
import { expect, test } from 'vitest';
import { createMemoryVault, openMemoryBank } from '../../../../../test/fakes/bank-memory.ts';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import type { LedgerOptions } from './ledger-options.ts';
import { Ledger } from './ledger.ts';
import type { PaidAccount } from './terms.ts';

/** What goes wrong beside the store's ordinary refusals: each ends with a ledger that works, without a restart. */

const team: Budget = { name: 'team', capacity: 1_000, per: 'all' };
const accounts = [{ account: 'team', budget: team }];

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1)
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
}

function world(options: Partial<LedgerOptions> = {}) {
  const clock = createFakeClock();
  const vault = createMemoryVault(() => clock.nowMs());
  const events: string[] = [];
  const open = (process: string, more: Partial<LedgerOptions> = {}): Ledger =>
    new Ledger({
      bank: openMemoryBank(vault),
      process,
      clock,
      staleAfterMs: 0,
      onEvent: ({ kind }) => events.push(kind),
      ...options,
      ...more,
    });
  return { clock, vault, events, open };
}

test('a store that is down at the start is asked again, and serves once it is back', async () => {
  const { clock, vault, events, open } = world();
  vault.failure = { kind: 'unavailable', when: 'before' };
  const ledger = open('p');
  expect((await ledger.begin()).ok).toBe(false);
  expect((await ledger.reserve('a', accounts, 10)).ok).toBe(false);
  clock.advance(10_000);
  await settled();
  expect(ledger.failure).toBeDefined();
  vault.failure = undefined;
  clock.advance(10_000);
  await settled();
  expect(ledger.failure).toBeUndefined();
  expect(events).toEqual(['down', 'up']);
  expect((await ledger.reserve('b', accounts, 10)).ok).toBe(true);
});

test('a log that cannot be read is no proof: the slices wait, requests do not, and it is read again', async () => {
  const { clock, vault, open } = world();
  const dead = open('dead');
  await dead.begin();
  expect((await dead.reserve('a', accounts, 400)).ok).toBe(true);
  dead.settle('a', 100);
  await dead.flush();
  let reads = 0;
  const proofOf = (): Promise<{ usable: number; settled: number }> => {
    reads += 1;
    if (reads <= 2) return Promise.reject(new Error('EMFILE: too many open files'));
    return Promise.resolve({ usable: 400, settled: 100 });
  };
  const ledger = open('p', { proofOf });
  await ledger.begin();
  expect(ledger.failure).toBeUndefined();
  expect((await ledger.reserve('b', accounts, 500)).ok).toBe(true);
  expect(vault.accounts.get('team')).toMatchObject({ lost: 0, spent: 100 });
  clock.advance(2_000);
  await settled();
  clock.advance(2_000);
  await settled();
  expect(reads).toBe(3);
  expect(vault.accounts.get('team')?.slices.map(({ id }) => id)).toEqual(['p']);
});

test('a cost beyond every amount is what was set aside, and the reservation is over', async () => {
  const { open, events, vault } = world();
  const ledger = open('p');
  await ledger.begin();
  await ledger.reserve('a', accounts, 100);
  ledger.settle('a', 70);
  await ledger.reserve('b', accounts, 100);
  expect(ledger.settle('b', amountMax)).toMatchObject({ charged: 100 });
  await ledger.flush();
  expect(events).toEqual(['overrun']);
  expect(ledger.held('team').held).toBe(0);
  expect(vault.accounts.get('team')).toMatchObject({ spent: 170 });
  expect((await ledger.reserve('c', accounts, 800)).ok).toBe(true);
});

/** Requests are served while the store is away, and come to so much. */
async function served(ledger: Ledger, from: readonly PaidAccount[], cost: number): Promise<void> {
  expect(await ledger.reserve('s', from, 10)).toMatchObject({ error: { kind: 'unavailable' } });
  ledger.owe(from, cost);
}

test('what was served meanwhile is charged however many accounts pay for it', async () => {
  const { clock, vault, open } = world();
  const ledger = open('p');
  await ledger.begin();
  const many = Array.from({ length: accountsPerRequestMax + 1 }, (_, i) => {
    const budget: Budget = { name: `b${i}`, capacity: 1_000, per: 'all' };
    return { account: budget.name, budget };
  });
  vault.failure = { kind: 'unavailable', when: 'before' };
  expect((await ledger.reserve('a', accounts, 10)).ok).toBe(false);
  await served(ledger, many, 70);
  vault.failure = undefined;
  clock.advance(10_000);
  await settled();
  await ledger.flush();
  expect(many.map(({ account }) => vault.accounts.get(account)?.spent)).toEqual(many.map(() => 70));
});

test('what was served meanwhile is charged also where the store is back only when the ledger closes', async () => {
  const { vault, open } = world();
  const ledger = open('p');
  await ledger.begin();
  vault.failure = { kind: 'unavailable', when: 'before' };
  expect((await ledger.reserve('a', accounts, 10)).ok).toBe(false);
  await served(ledger, accounts, 70);
  vault.failure = undefined;
  await ledger.close();
  expect(vault.accounts.get('team')).toMatchObject({ spent: 70, lost: 0, slices: [] });
});

test('what was served meanwhile is charged where others took this process for dead by then', async () => {
  const { clock, vault, open } = world();
  const cut = open('cut');
  await cut.begin();
  expect((await cut.reserve('a', accounts, 100)).ok).toBe(true);
  vault.failure = { kind: 'unavailable', when: 'before' };
  cut.settle('a', 100);
  await cut.flush();
  await served(cut, accounts, 300);
  // To the others the store is there.
  vault.failure = undefined;
  const judge = open('judge');
  await judge.begin();
  expect(vault.accounts.get('team')).toMatchObject({ spent: 0, lost: 100, balance: 900 });
  for (let second = 0; second < 20; second += 1) {
    clock.advance(1_000);
    // oxlint-disable-next-line no-await-in-loop -- one tick after the other
    await settled();
  }
  expect(vault.accounts.get('team')).toMatchObject({ spent: 300, lost: 100, balance: 600 });
  await cut.close();
  expect(vault.accounts.get('team')).toMatchObject({ spent: 300, lost: 100, slices: [] });
});

test('an overrun is charged where others took the process for dead before it', async () => {
  const { clock, vault, open } = world();
  const paused = open('paused');
  await paused.begin();
  expect((await paused.reserve('a', accounts, 100)).ok).toBe(true);
  await open('judge').begin();
  paused.settle('a', 250);
  for (let second = 0; second < 5; second += 1) {
    clock.advance(1_000);
    // oxlint-disable-next-line no-await-in-loop -- one tick after the other
    await settled();
  }
  expect(vault.accounts.get('team')).toMatchObject({ spent: 150, lost: 100, balance: 750 });
  expect((await paused.reserve('b', accounts, 750)).ok).toBe(true);
  expect((await paused.reserve('c', accounts, 1)).ok).toBe(false);
  paused.settle('b', 50);
  await paused.close();
  expect(vault.accounts.get('team')).toMatchObject({
    spent: 200,
    lost: 100,
    balance: 700,
    slices: [],
  });
});
