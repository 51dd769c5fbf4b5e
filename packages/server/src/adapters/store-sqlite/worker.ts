/** The thread that owns the database: SQLite's calls block, and here they block nobody else. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert, err, ok } from '@postern/core/base';
import type { JournalRow } from '@postern/core/state';
import type { LeaseBatch } from '../../control/registry/ports.ts';
import type { AccountsQuery, BankBatch, StaleQuery, UsageQuery } from '../../gateway/money/bank.ts';
import type { Method, WorkerSettings, Call, Answer } from './protocol.ts';
import type { OpenDatabase } from './database.ts';
import { openDatabase } from './database.ts';
import { Engine } from './engine.ts';
import { LeaseEngine } from './leases.ts';
import { MoneyEngine } from './money.ts';
import { failureOf, StoreError } from './failure.ts';
import { returnStartMemory } from '../system-node/start-memory.ts';

assert(parentPort !== null, 'this file runs as a worker');
const port = parentPort;
// The starter of this file, client.ts, passes exactly this.
const settings = workerData as WorkerSettings;

type Handlers = Readonly<Record<Method, (...args: never[]) => unknown>>;

function handlersOf(open: OpenDatabase): Handlers {
  const engine = new Engine(open.db);
  // Prepared with the first question: a gateway without budgets never asks.
  let money: MoneyEngine | undefined;
  const bank = (): MoneyEngine => (money ??= new MoneyEngine(open.db));
  // Prepared with the first heartbeat.
  let held: LeaseEngine | undefined;
  const leases = (): LeaseEngine => (held ??= new LeaseEngine(open.db));
  return {
    load: (from: 'state' | 'genesis') => engine.load(from),
    readAfter: (index: number) => engine.readAfter(index),
    append: (rows: readonly JournalRow[]) => engine.append(rows),
    materialise: async () => {
      const { materialisedState } = await import('./verify.ts');
      const state = materialisedState(engine);
      if (state === undefined) throw new StoreError('corrupt', 'The journal does not add up.');
      engine.saveState(state);
      return state.head;
    },
    backup: async (file: string) => {
      const { writeBackup } = await import('./backup.ts');
      return writeBackup(open, file, Date.now());
    },
    verify: async () => {
      const { verifyDatabase } = await import('./verify.ts');
      return verifyDatabase(open.db, engine);
    },
    change: (batch: BankBatch) => bank().change(batch, Date.now()),
    accounts: (query: AccountsQuery) => bank().accounts(query),
    usage: (query: UsageQuery) => bank().usage(query),
    stale: (query: StaleQuery) => bank().stale(query, Date.now()),
    moneyPage: (page: number) => bank().page(page),
    loadLeases: () => leases().load(),
    writeLeases: (batch: LeaseBatch) => leases().write(batch),
    close: () => open.close(),
  };
}

async function answer(handlers: Handlers, { id, method, args }: Call): Promise<Answer> {
  try {
    // client.ts calls methods of `Methods` with the arguments of their types.
    const value: unknown = await handlers[method](...(args as never[]));
    return { id, result: ok(value) };
  } catch (cause) {
    return { id, result: err(failureOf(cause)) };
  }
}

function serve(handlers: Handlers): void {
  port.on('message', (call: Call) => {
    void answer(handlers, call).then((reply) => {
      port.postMessage(reply);
      if (call.method === 'close') port.close();
    });
  });
}

try {
  const open = openDatabase({ ...settings, nowMs: Date.now() });
  // A thread that a defect ends lets go of its lock, so that the next one can have it.
  process.once('exit', open.close);
  serve(handlersOf(open));
  port.postMessage({ id: 0, result: ok(undefined) } satisfies Answer);
  returnStartMemory();
} catch (cause) {
  port.postMessage({ id: 0, result: err(failureOf(cause)) } satisfies Answer);
}
