import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@postern/core/base';
import { openPostgresStore } from '@postern/server/adapters/store-postgres';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
import type { SliceBank } from '@postern/server/gateway/money';
import { afterAll, beforeAll, describe } from 'vitest';
import { createMemoryVault, openMemoryBank } from '../fakes/bank-memory.ts';
import { startContender } from '../fakes/contender.ts';
import type { LocalServer } from '../fakes/local-server.ts';
import { newDatabase, noPostgres, startPostgres } from '../fakes/local-server.ts';
import type { Arena } from './race-suite.ts';
import { describeRace } from './race-suite.ts';

async function books(bank: SliceBank, account: string): Promise<{ spent: number; lost: number }> {
  const rows = await bank.accounts({ name: account, limit: 1 });
  if (!rows.ok) throw new Error(rows.error.message);
  const { spent = 0, lost = 0 } = rows.value[0]?.state ?? {};
  return { spent, lost };
}

const inMemory = (): Promise<Arena> => {
  const vault = createMemoryVault();
  return Promise.resolve({
    contender: (budget) => startContender(openMemoryBank(vault), budget, 300),
    books: (account) => books(openMemoryBank(vault), account),
    remove: () => Promise.resolve(),
  });
};

const inSqlite = async (): Promise<Arena> => {
  const base = await mkdtemp(join(tmpdir(), 'postern-race-'));
  const store = await openSqliteStore(join(base, 'state'));
  if (!store.ok) throw new Error(store.error.message);
  const { bank } = store.value;
  return {
    contender: (budget) => startContender(bank, budget, 0),
    books: (account) => books(bank, account),
    remove: async () => {
      await store.value.close();
      await rm(base, { recursive: true, force: true });
    },
  };
};

describeRace('memory', { processes: 1, arena: inMemory });
describeRace('memory', { processes: 3, arena: inMemory });
describeRace('sqlite', { processes: 1, arena: inSqlite });

describe.skipIf(noPostgres !== '')(`with PostgreSQL ${noPostgres}`, () => {
  let server: LocalServer;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.remove(), 60_000);

  const inPostgres = async (): Promise<Arena> => {
    const url = new Secret(await newDatabase(server));
    const stores: { close(): Promise<void> }[] = [];
    const open = async (): Promise<SliceBank> => {
      const process = `contender-${stores.length}`;
      const store = await openPostgresStore({ url, process, name: process });
      if (!store.ok) throw new Error(store.error.message);
      stores.push(store.value);
      return store.value.bank;
    };
    return {
      contender: async (budget) => startContender(await open(), budget, 300),
      books: async (account) => books(await open(), account),
      remove: async () => {
        await Promise.all(stores.map((store) => store.close()));
      },
    };
  };
  describeRace('postgres', { processes: 1, arena: inPostgres });
  describeRace('postgres', { processes: 3, arena: inPostgres });
});
