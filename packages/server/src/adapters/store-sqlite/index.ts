/**
 * @module The journal in one SQLite file (`state.db`, WAL, synchronous=FULL), owned by one process and one thread.
 *
 * Promises: an append is acknowledged after fsync, all of its rows or none; the folder is 0700 and the files 0600;
 * two processes never own one folder; the schema only moves forward, after a copy was put aside; a backup is one file
 * made while writes go on, and a flipped byte in it is found; a restore never overwrites and never forks.
 * Refuses: a newer, skipped or foreign schema; network file systems are not detected and not supported.
 * Limits: `sqliteLimits`.
 */
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Store, StoreFailure } from '../../control/store.ts';
import { SqliteClient } from './client.ts';
import { sqliteLimits } from './limits.ts';

export { inspectBackup } from './backup.ts';
export type { Checkpoint, RestoreOptions, RestoreReport } from './restore.ts';
export { restoreBackup } from './restore.ts';

export interface SqliteStoreOptions {
  /** The largest size of the state file; the default is that of `sqliteLimits`. */
  readonly bytesMax?: number;
}

/** Opens the state folder, making it where it is missing. Fails with a sentence for the operator. */
export async function openSqliteStore(
  dir: string,
  options: SqliteStoreOptions = {},
): Promise<Result<Store, StoreFailure>> {
  const bytesMax = options.bytesMax ?? sqliteLimits.databaseBytesMax;
  const opened = await SqliteClient.open({ dir, bytesMax });
  if (!opened.ok) return opened;
  const client = opened.value;
  return ok({
    load: (from) => client.call('load', from),
    readAfter: (index) => client.call('readAfter', index),
    append: (rows) => client.call('append', rows),
    materialise: () => client.call('materialise'),
    backup: (file) => client.call('backup', file),
    verify: () => client.call('verify'),
    close: () => client.close(),
  });
}
