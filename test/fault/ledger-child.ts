/** A process that spends as fast as it can until it is killed. What providers delivered goes out before it is settled. */
import { openSync, writeSync } from 'node:fs';
import process from 'node:process';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
import { createNodeSystem } from '@postern/server/adapters/system-node';
import { Ledger } from '@postern/server/gateway/money';
import { killBudget } from './ledger-budget.ts';

process.once('SIGTERM', () => process.exit(0));
const [stateDir = '', journal = ''] = process.argv.slice(2);
// A file keeps what a dead process wrote to it.
const out = openSync(journal, 'a');
const store = await openSqliteStore(stateDir);
if (!store.ok) throw new Error(store.error.message);
const system = createNodeSystem();
const ledger = new Ledger({
  bank: store.value.bank,
  process: system.newId(),
  clock: {
    nowMs: system.nowMs,
    after: (ms, callback) => {
      // Faster than life, so that reports and crashes meet.
      const timer = setTimeout(callback, ms / 20);
      return { clear: () => clearTimeout(timer) };
    },
  },
  staleAfterMs: 0,
});
const begun = await ledger.begin();
if (!begun.ok) throw new Error(begun.error.message);
const accounts = [{ account: killBudget.name, budget: killBudget }];
writeSync(1, 'ready\n');

let noted = 0;
async function spend(lane: number): Promise<void> {
  for (let i = 0; ; i += 1) {
    const id = `${lane}.${i}`;
    const reserved = 1_000 + ((lane * 7_919 + i * 104_729) % 9_000);
    // oxlint-disable-next-line no-await-in-loop -- one request after the other
    const taken = await ledger.reserve(id, accounts, reserved);
    if (!taken.ok) {
      writeSync(out, `refused ${taken.error.kind}\n`);
      return;
    }
    // The provider answers piece by piece; a crash falls anywhere between.
    const cost = (i * 31 + lane) % (reserved + 1);
    const half = Math.floor(cost / 2);
    writeSync(out, `delivered ${half}\n`);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await new Promise((resolve) => setImmediate(resolve));
    writeSync(out, `delivered ${cost - half}\n`);
    ledger.settle(id, cost);
    noted += 1;
    ledger.note({
      hourMs: 0,
      principal: 'p',
      display: 'p',
      model: 'm',
      target: 't/m',
      accounts: killBudget.name,
      requests: 1,
      estimated: 0,
      input: 0,
      cacheRead: 0,
      cacheWrite: 0,
      output: 0,
      reasoning: 0,
      cost,
      webSearches: 0,
      storageSearches: 0,
      inputAudio: 0,
      outputAudio: 0,
    });
  }
}

async function acknowledge(): Promise<void> {
  for (;;) {
    const upTo = noted;
    // oxlint-disable-next-line no-await-in-loop -- what is acknowledged is durable
    await ledger.flush();
    if (ledger.failure === undefined) writeSync(out, `acknowledged ${upTo}\n`);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

await Promise.race([acknowledge(), Promise.all([0, 1, 2, 3].map(spend))]);
