import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Secret } from '@postern/core/base';
import { emptySnapshot, headOf } from '@postern/core/state';
import type { PostgresStore } from '@postern/server/adapters/store-postgres';
import { openPostgresStore } from '@postern/server/adapters/store-postgres';
import type { SqliteStore } from '@postern/server/adapters/store-sqlite';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
import type { UsageRow } from '@postern/server/gateway/money';
import { createLogger } from '@postern/server/observe';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { moveIn } from '../../packages/server/src/app/move-in.ts';
import type { LocalServer } from '../fakes/local-server.ts';
import { newDatabase, noPostgres, startPostgres } from '../fakes/local-server.ts';
import { rowsAfter } from './store-suite.ts';

const usage: UsageRow = {
  hourMs: 3_600_000,
  principal: 'tailnet:u1',
  display: 'ann',
  model: 'instant',
  target: 'openai/gpt-5',
  accounts: 'everyone',
  requests: 3,
  estimated: 1,
  input: 30,
  cacheRead: 0,
  cacheWrite: 0,
  output: 9,
  reasoning: 0,
  cost: 700,
  webSearches: 9,
  storageSearches: 10,
  inputAudio: 11,
  outputAudio: 12,
};
const rows = rowsAfter(headOf(emptySnapshot()), 6);
const logger = createLogger({ level: 'error', format: 'json', write: () => undefined });

describe.skipIf(noPostgres !== '')(`a move to PostgreSQL ${noPostgres}`, () => {
  let server: LocalServer;
  let stateDir = '';
  let own: SqliteStore;
  let shared: PostgresStore;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.remove(), 60_000);
  beforeEach(async () => {
    stateDir = await mkdtemp(path.join(tmpdir(), 'postern-move-'));
    own = value(await openSqliteStore(stateDir));
    const url = new Secret(await newDatabase(server));
    shared = value(await openPostgresStore({ url, process: 'new', name: 'new' }));
    value(await own.append(rows));
    const budget = { name: 'everyone', per: 'all', capacity: 10_000 } as const;
    value(
      await own.bank.change({
        process: 'gone',
        seq: 1,
        changes: [
          { kind: 'lease', account: 'everyone', budget, slice: 'gone', need: 1_000, want: 1_000 },
          { kind: 'report', account: 'everyone', slice: 'gone', settled: 700 },
        ],
        usage: [usage],
      }),
    );
  });
  afterEach(async () => {
    await shared.close();
    await own.close();
    await rm(stateDir, { recursive: true, force: true });
  });
  const move = (): Promise<unknown> => moveIn(own, shared, { logger, stateDir });

  test('brings the journal, every balance with its open slices, and the history', async () => {
    expect(await move()).toEqual({ ok: true, value: undefined });
    expect(value(await shared.readAfter(0))).toEqual(rows);
    expect(await shared.bank.accounts({ limit: 10 })).toEqual(
      await own.bank.accounts({ limit: 10 }),
    );
    const asked = { sinceMs: 0, by: 'user' } as const;
    expect(await shared.bank.usage(asked)).toEqual(await own.bank.usage(asked));
    expect(value(await shared.bank.stale({ process: 'new', idleMs: 30_000 }))).toEqual([
      { account: 'everyone', slice: 'gone', granted: 1_000, settled: 700 },
    ]);
  });

  test('that was cut off goes on, and one that is over is not made again', async () => {
    value(await shared.append(rows.slice(0, 2)));
    expect(await move()).toEqual({ ok: true, value: undefined });
    expect(value(await shared.readAfter(0))).toEqual(rows);
    const before = value(await shared.bank.accounts({ limit: 10 }));
    expect(before).toHaveLength(1);
    expect(await move()).toEqual({ ok: true, value: undefined });
    expect(value(await shared.bank.accounts({ limit: 10 }))).toEqual(before);
  });

  test('brings nothing where another journal is', async () => {
    const strangers = rowsAfter(headOf(emptySnapshot()), 3, 5_000);
    value(await shared.append(strangers));
    expect(await move()).toEqual({ ok: true, value: undefined });
    expect(value(await shared.readAfter(0))).toEqual(strangers);
    expect(value(await shared.bank.accounts({ limit: 10 }))).toEqual([]);
  });

  test('leaves money that is there as it is', async () => {
    const budget = { name: 'mine', per: 'all', capacity: 50 } as const;
    value(
      await shared.bank.change({
        process: 'other',
        seq: 1,
        changes: [{ kind: 'lease', account: 'mine', budget, slice: 'other', need: 5, want: 5 }],
        usage: [],
      }),
    );
    expect(await move()).toEqual({ ok: true, value: undefined });
    const accounts = value(await shared.bank.accounts({ limit: 10 }));
    expect(accounts.map(({ account }) => account)).toEqual(['mine']);
  });
});

function value<T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false }): T {
  if (!result.ok) throw new Error(`unexpected failure: ${JSON.stringify(result)}`);
  return result.value;
}
