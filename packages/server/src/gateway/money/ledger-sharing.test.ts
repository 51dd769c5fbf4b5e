import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Budget } from '@postern/core/quota';
import { createMemoryVault, openMemoryBank } from '../../../../../test/fakes/bank-memory.ts';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import type { SliceBank } from './bank.ts';
import { Ledger } from './ledger.ts';

/** Long enough for everybody to be told yes or no, however slow the bank. */
const patienceMs = 60_000;
const stepMs = 5;

interface Race {
  readonly room: number;
  readonly amount: number;
  /** Over the room: money that pays for no whole request. */
  readonly rest: number;
  /** Which of the processes each request asks, and when. */
  readonly requests: readonly { readonly at: number; readonly process: number }[];
  /** How long the bank takes for one batch after the other. */
  readonly delaysMs: readonly number[];
  /** How long an answer takes once it was admitted. */
  readonly answerMs: number;
}

/** Processes that spend from one account over a bank that takes its time. Gives how many requests were admitted. */
async function admitted(race: Race): Promise<number> {
  const clock = createFakeClock();
  const vault = createMemoryVault(() => clock.nowMs());
  let turn = 0;
  const slow = (bank: SliceBank): SliceBank => ({
    change: async (batch) => {
      turn += 1;
      const delayMs = race.delaysMs[turn % race.delaysMs.length] ?? 0;
      await new Promise<void>((resolve) => void clock.after(delayMs, resolve));
      return bank.change(batch);
    },
    accounts: (query) => bank.accounts(query),
    usage: (query) => bank.usage(query),
    stale: (query) => bank.stale(query),
    onRecall: (process, recall) => bank.onRecall(process, recall),
    close: () => bank.close(),
  });
  const budget: Budget = {
    name: 'team',
    capacity: race.room * race.amount + race.rest,
    per: 'all',
  };
  const accounts = [{ account: 'team', budget }];
  const ledgers = [0, 1, 2].map(
    (i) =>
      new Ledger({
        bank: slow(openMemoryBank(vault)),
        process: `p${i}`,
        clock,
        staleAfterMs: 3_600_000,
      }),
  );
  let answered = 0;
  let count = 0;
  race.requests.forEach(({ at, process }, i) => {
    clock.after(at, () => {
      const ledger = ledgers[process];
      if (ledger === undefined) return;
      void Promise.resolve(ledger.reserve(`r${i}`, accounts, race.amount)).then((reserved) => {
        answered += 1;
        if (!reserved.ok) return;
        count += 1;
        clock.after(race.answerMs, () => ledger.settle(`r${i}`, race.amount));
      });
    });
  });
  for (let ms = 0; ms < patienceMs && answered < race.requests.length; ms += stepMs) {
    clock.advance(stepMs);
    // oxlint-disable-next-line no-await-in-loop -- what the step set off happens before the next one
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(answered).toBe(race.requests.length);
  return count;
}

test('processes that hold parts of what nobody can use alone give them together: exactly so many are admitted', async () => {
  const requests = fc.array(fc.record({ at: fc.nat(200), process: fc.nat(2) }), {
    minLength: 25,
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        room: fc.integer({ min: 1, max: 20 }),
        amount: fc.integer({ min: 2, max: 1_000 }),
        rest: fc.nat(1),
        requests,
        delaysMs: fc.array(fc.nat(400), { minLength: 1, maxLength: 7 }),
        answerMs: fc.nat(500),
      }),
      async (race) => {
        expect(await admitted(race)).toBe(race.room);
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
