import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@postern/core/base';
import { openPostgresStore } from '@postern/server/adapters/store-postgres';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
import { afterAll, beforeAll, describe } from 'vitest';
import { createMemoryVault, openMemoryBank } from '../fakes/bank-memory.ts';
import type { LocalServer } from '../fakes/local-server.ts';
import { newDatabase, noPostgres, startPostgres } from '../fakes/local-server.ts';
import type { BankPlace } from './bank-suite.ts';
import { describeBank } from './bank-suite.ts';

describeBank('memory', (): Promise<BankPlace> => {
  const vault = createMemoryVault();
  return Promise.resolve({
    open: () => Promise.resolve(openMemoryBank(vault)),
    outage: {
      begin: async () => {
        vault.failure = { kind: 'unavailable', when: 'before' };
      },
      end: async () => {
        vault.failure = undefined;
      },
    },
    remove: () => Promise.resolve(),
  });
});

describeBank('sqlite', async (): Promise<BankPlace> => {
  const base = await mkdtemp(join(tmpdir(), 'postern-bank-'));
  const store = await openSqliteStore(join(base, 'state'));
  if (!store.ok) throw new Error(store.error.message);
  return {
    open: () => Promise.resolve(store.value.bank),
    remove: async () => {
      await store.value.close();
      await rm(base, { recursive: true, force: true });
    },
  };
});

describe.skipIf(noPostgres !== '')(`with PostgreSQL ${noPostgres}`, () => {
  let server: LocalServer;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.remove(), 60_000);

  describeBank('postgres', async (): Promise<BankPlace> => {
    const url = new Secret(await newDatabase(server));
    const stores: { close(): Promise<void> }[] = [];
    return {
      open: async () => {
        const process = `opened-${stores.length}`;
        const store = await openPostgresStore({ url, process, name: process });
        if (!store.ok) throw new Error(store.error.message);
        stores.push(store.value);
        return store.value.bank;
      },
      outage: { begin: () => server.stop(), end: () => server.start() },
      remove: async () => {
        await Promise.all(stores.map((store) => store.close()));
      },
    };
  });
});
