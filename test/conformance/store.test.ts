import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
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
