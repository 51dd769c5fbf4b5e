import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@postern/core/base';
import { openPostgresStore } from '@postern/server/adapters/store-postgres';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
import { exportRows } from '../../packages/server/src/app/export-rows.ts';
import { Client } from 'pg';
import { afterAll, beforeAll, describe } from 'vitest';
import type { LocalServer } from '../fakes/local-server.ts';
import { newDatabase, noPostgres, startPostgres } from '../fakes/local-server.ts';
import { createMemoryDisk, openMemoryStore } from '../fakes/store-memory.ts';
import type { StorePlace } from './store-suite.ts';
import { describeStore } from './store-suite.ts';

describeStore('memory', () => {
  const disk = createMemoryDisk();
  return Promise.resolve({
    faultSteps: Array.from({ length: 14 }, (_, i) => i + 2),
    open: () => Promise.resolve(openMemoryStore(disk)),
    backupFile: (name) => name,
    fill: () => {
      disk.rowsMax = disk.rows.length;
      return Promise.resolve();
    },
    remove: () => Promise.resolve(),
  });
});

describeStore('sqlite', async (): Promise<StorePlace> => {
  const base = await mkdtemp(join(tmpdir(), 'postern-store-'));
  const dir = join(base, 'state');
  let bytesMax: number | undefined;
  return {
    faultSteps: [2, 4, 8],
    open: () => openSqliteStore(dir, bytesMax === undefined ? {} : { bytesMax }),
    backupFile: (name) => join(base, name),
    fill: async () => {
      bytesMax = (await stat(join(dir, 'state.db'))).size + 16_384;
    },
    remove: () => rm(base, { recursive: true, force: true }),
  };
});

describe.skipIf(noPostgres !== '')(`with PostgreSQL ${noPostgres}`, () => {
  let server: LocalServer;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.remove(), 60_000);

  describeStore('postgres', async (): Promise<StorePlace> => {
    const base = await mkdtemp(join(tmpdir(), 'postern-store-'));
    const url = new Secret(await newDatabase(server));
    let bytesMax: number | undefined;
    let opened = 0;
    return {
      faultSteps: [2, 4, 8],
      open: async () => {
        opened += 1;
        const process = `opened-${opened}`;
        const store = await openPostgresStore({
          url,
          process,
          name: process,
          exportRows,
          ...(bytesMax === undefined ? {} : { bytesMax }),
        });
        // Any number may read; what the suite asks for is the one that writes.
        if (!store.ok || store.value.role().kind === 'leader') return store;
        await store.value.close();
        return { ok: false, error: { kind: 'in_use', message: 'Another one leads.' } };
      },
      backupFile: (name) => join(base, name),
      fill: async () => {
        const client = new Client({ connectionString: url.reveal() });
        await client.connect();
        const { rows } = await client.query(
          "SELECT pg_total_relation_size('postern.journal')::integer AS bytes",
        );
        await client.end();
        bytesMax = Number(rows[0].bytes) + 16_384;
      },
      remove: () => rm(base, { recursive: true, force: true }),
    };
  });
});
