import type { Budget } from '@postern/core/quota';
import type { SliceBank } from '@postern/server/gateway/money';
import { Ledger } from '@postern/server/gateway/money';
import type { Contender } from '../conformance/race-suite.ts';

let ids = 0;

/** A process's ledger in this process. Killed, it never says another word. */
export async function startContender(
  bank: SliceBank,
  budget: Budget,
  staleAfterMs: number,
): Promise<Contender> {
  ids += 1;
  const alive = { is: true };
  const ledger = new Ledger({
    bank: mortal(bank, alive),
    process: `contender-${ids}`,
    clock: {
      nowMs: () => Date.now(),
      after: (ms, callback) => {
        const timer = setTimeout(callback, ms);
        timer.unref();
        return { clear: () => clearTimeout(timer) };
      },
    },
    staleAfterMs,
  });
  await ledger.begin();
  const accounts = [{ account: budget.name, budget }];
  return {
    admit: async (count, amount) => {
      const asked = Array.from({ length: count }, async () => {
        ids += 1;
        const id = `r${ids}`;
        const reserved = await ledger.reserve(id, accounts, amount);
        return reserved.ok ? [id] : [];
      });
      return (await Promise.all(asked)).flat();
    },
    settle: async (open, cost) => {
      for (const id of open) ledger.settle(id, cost);
      await ledger.flush();
    },
    stop: async () => {
      // The dead do not take leave.
      if (alive.is) await ledger.close();
    },
    kill: async () => {
      alive.is = false;
    },
  };
}

/** Once its owner is dead, nothing reaches the bank any more, and no answer comes. */
function mortal(bank: SliceBank, alive: { is: boolean }): SliceBank {
  const never = new Promise<never>(() => undefined);
  return {
    ...bank,
    change: async (batch) => {
      if (!alive.is) return never;
      const answer = await bank.change(batch);
      return alive.is ? answer : never;
    },
    accounts: (query) => bank.accounts(query),
    usage: (query) => bank.usage(query),
    stale: (query) => bank.stale(query),
    onRecall: (process, recall) =>
      bank.onRecall(process, (accounts) => {
        if (alive.is) recall(accounts);
      }),
    close: () => bank.close(),
  };
}
