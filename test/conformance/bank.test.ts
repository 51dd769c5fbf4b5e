import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
import { createMemoryVault, openMemoryBank } from '../fakes/bank-memory.ts';
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
