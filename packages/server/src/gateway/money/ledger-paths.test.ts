import fc from 'fast-check';
import type { Budget } from '@postern/core/quota';
import { expect, test } from 'vitest';
/* oxlint-disable no-await-in-loop -- one step after the other is what is tried */
import { createMemoryVault, openMemoryBank } from '../../../../../test/fakes/bank-memory.ts';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import type { SliceBank } from './bank.ts';
import { Ledger } from './ledger.ts';

async function settled(): Promise<void> {
  for (let turn = 0; turn < 6; turn += 1) await new Promise((done) => setImmediate(done));
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('pay' as const),
      who: fc.nat(2),
      account: fc.nat(2),
      amount: fc.nat(300),
      cost: fc.nat(500),
    }),
  },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('settle' as const), who: fc.nat(2) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('owe' as const),
      who: fc.nat(2),
      account: fc.nat(2),
      cost: fc.nat(200),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('cut' as const),
      who: fc.nat(2),
      how: fc.constantFrom('no', 'before', 'after'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('pass' as const),
      seconds: fc.constantFrom(1, 2, 5, 12),
    }),
  },
);

/** Each process may lose the store, or only its answers, and others then take it for gone. */
test('whatever the paths to the store do, everything that was used is counted, and books balance', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const clock = createFakeClock();
      const vault = createMemoryVault(() => clock.nowMs());
      const cuts = ['no', 'no', 'no'];
      const ledgers = cuts.map((_, i) => {
        const bank = openMemoryBank(vault);
        const down = { ok: false, error: { kind: 'unavailable', message: 'cut' } } as const;
        const path: SliceBank = {
          change: async (batch) => {
            if (cuts[i] === 'before') return down;
            const done = await bank.change(batch);
            return cuts[i] === 'after' ? down : done;
          },
          accounts: (query) => bank.accounts(query),
          usage: (query) => bank.usage(query),
          stale: async (query) => (cuts[i] === 'no' ? bank.stale(query) : down),
          onRecall: (process, recall) => bank.onRecall(process, recall),
          close: () => bank.close(),
        };
        return new Ledger({ bank: path, process: `p${i}`, clock, staleAfterMs: 8_000 });
      });
      const used = [0, 0, 0];
      const budgets = used.map((_, i): Budget => ({ name: `b${i}`, capacity: 5_000, per: 'all' }));
      const open: { id: string; who: number; account: number; cost: number }[] = [];
      let count = 0;
      const pass = async (seconds: number) => {
        for (let s = 0; s < seconds; s += 1) {
          clock.advance(1_000);
          await settled();
        }
      };
      await Promise.all(ledgers.map((ledger) => ledger.begin()));
      for (const each of steps) {
        if (each.act === 'pass') await pass(each.seconds);
        else if (each.act === 'cut') cuts[each.who] = each.how;
        else if (each.act === 'settle') {
          const at = open.findIndex(({ who }) => who === each.who);
          const [one] = at < 0 ? [] : open.splice(at, 1);
          if (one !== undefined) {
            ledgers[one.who]?.settle(one.id, one.cost);
            used[one.account] = (used[one.account] ?? 0) + one.cost;
          }
        } else {
          const budget = budgets[each.account];
          const ledger = ledgers[each.who];
          if (budget === undefined || ledger === undefined) continue;
          const accounts = [{ account: budget.name, budget }];
          count += 1;
          const id = `r${count}`;
          if (each.act === 'owe') {
            ledger.owe(accounts, each.cost);
            used[each.account] = (used[each.account] ?? 0) + each.cost;
            continue;
          }
          void Promise.resolve(ledger.reserve(id, accounts, each.amount)).then((answer) => {
            if (answer.ok) open.push({ id, who: each.who, account: each.account, cost: each.cost });
          });
          await settled();
        }
      }
      cuts.fill('no');
      await pass(20);
      for (const { id, who, account, cost } of open) {
        ledgers[who]?.settle(id, cost);
        used[account] = (used[account] ?? 0) + cost;
      }
      await pass(10);
      for (const ledger of ledgers) await ledger.close();
      used.forEach((cost, i) => {
        const state = vault.accounts.get(`b${i}`);
        if (state === undefined) return expect(cost).toBe(0);
        expect(state.slices).toEqual([]);
        expect(state.spent + state.lost).toBeGreaterThanOrEqual(cost);
        expect(state.balance + state.spent + state.lost).toBe(5_000);
      });
    }),
    { numRuns: 150 },
  );
}, 90_000);
