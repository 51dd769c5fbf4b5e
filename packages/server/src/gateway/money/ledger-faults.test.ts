import { amountMax } from '@postern/core/quota';
import type { Budget } from '@postern/core/quota';
import { expect, test } from 'vitest';
import { createMemoryVault, openMemoryBank } from '../../../../../test/fakes/bank-memory.ts';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import type { LedgerOptions } from './ledger-options.ts';
import { Ledger } from './ledger.ts';

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
