import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err } from '@postern/core/base';
import type { JournalRow } from '@postern/core/state';
import { openSqliteStore } from '../adapters/store-sqlite/index.ts';
import type { BackupManifest, StoreFailure } from '../control/store.ts';

/**
 * Writes the journal of a shared store as a backup of one machine: `postern restore` makes a state folder of it. The money is not in it,
 * since balances of a moment are nothing to go back to; it is in the backup of the database.
 */
export async function exportRows(
  file: string,
  pages: AsyncIterable<readonly JournalRow[]>,
): Promise<Result<BackupManifest, StoreFailure>> {
  if (existsSync(file)) return err({ kind: 'refused', message: `${file} exists already.` });
  const work = await mkdtemp(path.join(path.dirname(file), '.postern-export-'));
  try {
    const store = await openSqliteStore(path.join(work, 'state'));
    if (!store.ok) return store;
    try {
      for await (const rows of pages) {
        const appended = await store.value.append(rows);
        if (!appended.ok) return appended;
      }
      const materialised = await store.value.materialise();
      return materialised.ok ? await store.value.backup(file) : materialised;
    } finally {
      await store.value.close();
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
