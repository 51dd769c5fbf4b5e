import { expect, test } from 'vitest';
import type { Budget } from '@postern/core/quota';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import type { MemoryVault } from '../../../../../test/fakes/bank-memory.ts';
import { createMemoryVault, openMemoryBank } from '../../../../../test/fakes/bank-memory.ts';
import type { GatewayClock } from '../ports.ts';
import { Ledger } from './ledger.ts';

const team: Budget = { name: 'team', capacity: 1_000, per: 'all' };
const accounts = [{ account: 'team', budget: team }];

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1)
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
}

interface World {
  readonly vault: MemoryVault;
  readonly clock: ReturnType<typeof createFakeClock>;
  readonly ledger: Ledger;
  readonly events: string[];
}

async function world(process = 'p1', from?: World): Promise<World> {
  const clock = from?.clock ?? createFakeClock();
  const vault = from?.vault ?? createMemoryVault(() => clock.nowMs());
  const events: string[] = [];
  const ledger = new Ledger({
    bank: openMemoryBank(vault),
    process,
    clock,
    staleAfterMs: 0,
    onEvent: ({ kind }) => events.push(kind),
  });
  await ledger.begin();
  return { vault, clock, ledger, events };
}

const state = ({ vault }: World) => vault.accounts.get('team');

test('a reservation leases what it needs, a settlement is reported, the rest goes back when idle', async () => {
  const here = await world();
  expect(await here.ledger.reserve('a', accounts, 400)).toEqual({ ok: true, value: undefined });
  here.ledger.settle('a', 150);
  await here.ledger.flush();
  expect(state(here)).toMatchObject({ spent: 150, lost: 0, balance: 600 });
  here.clock.advance(5_000);
  await settled();
  expect(state(here)).toMatchObject({ spent: 150, balance: 850 });
});

test('what is leased already is reserved without a wait', async () => {
  const { ledger } = await world();
  await ledger.reserve('a', accounts, 400);
  ledger.settle('a', 0);
  expect(ledger.reserve('b', accounts, 300)).toEqual({ ok: true, value: undefined });
});

test('a store that is down refuses what is new, and open streams go on', async () => {
  const here = await world();
  await here.ledger.reserve('a', accounts, 100);
  here.vault.failure = { kind: 'unavailable', when: 'before' };
  const refused = await here.ledger.reserve('b', accounts, 100);
  expect(refused).toMatchObject({ ok: false, error: { kind: 'unavailable' } });
  expect(here.ledger.failure?.kind).toBe('unavailable');
  expect(await here.ledger.extend('a', accounts, 500)).toMatchObject({
    error: { kind: 'unavailable' },
  });
  here.ledger.settle('a', 90);
  here.vault.failure = undefined;
  here.clock.advance(10_000);
  await settled();
  expect(here.ledger.failure).toBeUndefined();
  expect(here.events).toEqual(['down', 'up']);
  expect((await here.ledger.reserve('c', accounts, 100)).ok).toBe(true);
  await here.ledger.flush();
  expect(state(here)).toMatchObject({ spent: 90, lost: 0 });
});

test('an answer that was lost is asked for again, and nothing happens twice', async () => {
  const here = await world();
  here.vault.failure = { kind: 'unavailable', when: 'after' };
  expect((await here.ledger.reserve('a', accounts, 400)).ok).toBe(false);
  here.vault.failure = undefined;
  here.clock.advance(10_000);
  await settled();
  expect((await here.ledger.reserve('b', accounts, 1_000)).ok).toBe(true);
  here.ledger.settle('b', 1_000);
  await here.ledger.close();
  expect(state(here)).toMatchObject({ spent: 1_000, lost: 0, balance: 0, slices: [] });
});

test('what was served while the store was down is charged afterwards', async () => {
  const here = await world();
  here.vault.failure = { kind: 'unavailable', when: 'before' };
  expect((await here.ledger.reserve('a', accounts, 10)).ok).toBe(false);
  here.ledger.owe(accounts, 70);
  here.vault.failure = undefined;
  here.clock.advance(10_000);
  await settled();
  await here.ledger.flush();
  expect(state(here)).toMatchObject({ spent: 70, lost: 0 });
});

test('the slice of a process that is gone counts as spent, as far as nothing proves otherwise', async () => {
  const dead = await world('dead');
  await dead.ledger.reserve('a', accounts, 400);
  await dead.ledger.reserve('b', accounts, 100);
  dead.ledger.settle('b', 60);
  await dead.ledger.flush();
  const heir = await world('heir', dead);
  expect(state(heir)).toMatchObject({ spent: 60, lost: 440, balance: 500, slices: [] });
  expect(heir.events).toEqual(['swept']);
});

test('a process that others took for dead stops spending from what was counted as spent', async () => {
  const here = await world('slow');
  await here.ledger.reserve('a', accounts, 400);
  await here.ledger.reserve('b', accounts, 100);
  await world('judge', here);
  expect(state(here)).toMatchObject({ lost: 500, balance: 500, slices: [] });
  here.ledger.settle('a', 400);
  here.ledger.settle('b', 0);
  await here.ledger.flush();
  expect((await here.ledger.reserve('c', accounts, 600)).ok).toBe(false);
  expect(state(here)?.balance).toBeGreaterThanOrEqual(0);
});

test('an overrun is charged over the balance, and said', async () => {
  const here = await world();
  await here.ledger.reserve('a', accounts, 1_000);
  expect(here.ledger.settle('a', 1_200)).toMatchObject({ overrun: 200 });
  await settled();
  await here.ledger.flush();
  expect(here.events).toEqual(['overrun']);
  expect(state(here)).toMatchObject({ spent: 1_200, balance: -200 });
  expect(await here.ledger.reserve('b', accounts, 1)).toMatchObject({
    ok: false,
    error: { kind: 'exhausted' },
  });
});

test('what is too much for one is no reason to refuse a smaller one behind it', async () => {
  const { ledger } = await world();
  const answers = await Promise.all([
    ledger.reserve('big', accounts, 1_001),
    ledger.reserve('small', accounts, 900),
    ledger.reserve('late', accounts, 200),
  ]);
  expect(answers.map(({ ok }) => ok)).toEqual([false, true, false]);
});

test('a wall clock that is set back makes nobody silent, and nobody wait for longer', async () => {
  const time = createFakeClock();
  let backMs = 0;
  const stepping = { ...time, nowMs: () => time.nowMs() - backMs, monotonicMs: () => time.nowMs() };
  const vault = createMemoryVault(() => time.nowMs());
  const swept: number[] = [];
  const open = async (process: string, clock: GatewayClock): Promise<Ledger> => {
    const ledger = new Ledger({
      bank: openMemoryBank(vault),
      process,
      clock,
      staleAfterMs: 8_000,
      onEvent: (event) => event.kind === 'swept' && swept.push(event.lost),
    });
    await ledger.begin();
    return ledger;
  };
  const passing = async (seconds: number): Promise<void> => {
    for (let step = 0; step < seconds * 10; step += 1) {
      time.advance(100);
      // oxlint-disable-next-line no-await-in-loop -- what a step set off happens before the next one
      await settled();
    }
  };
  const here = await open('here', stepping);
  const other = await open('other', time);
  expect((await here.reserve('a', accounts, 300)).ok).toBe(true);
  expect((await other.reserve('a', accounts, 500)).ok).toBe(true);
  await passing(3);
  backMs = 3_600_000;
  await passing(30);
  expect(swept).toEqual([]);
  expect(vault.accounts.get('team')).toMatchObject({ lost: 0 });

  let isRefused = false;
  const asked = Promise.resolve(here.reserve('b', accounts, 500)).then((answer) => {
    isRefused = !answer.ok;
  });
  await passing(1);
  backMs += 3_600_000;
  await passing(4);
  expect(isRefused).toBe(true);
  await asked;
});

test('a stream that began under the terms before a reload does not bring them back', async () => {
  const here = await world();
  const lowered: Budget = { ...team, capacity: 300 };
  const now = [{ account: 'team', budget: lowered }];
  await here.ledger.reserve('old', accounts, 100);
  expect((await here.ledger.reserve('new', now, 50)).ok).toBe(true);
  expect((await here.ledger.extend('old', accounts, 60)).ok).toBe(true);
  expect(await here.ledger.extend('old', accounts, 400)).toMatchObject({
    error: { kind: 'exhausted' },
  });
  expect((await here.ledger.reserve('next', now, 90)).ok).toBe(true);
  expect((await here.ledger.reserve('last', now, 1)).ok).toBe(false);
  expect(state(here)).toMatchObject({ opened: 300 });
});
