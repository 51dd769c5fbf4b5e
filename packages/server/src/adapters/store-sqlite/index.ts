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
import { err, ok } from '@postern/core/base';
import type { LeaseStore } from '../../control/registry/ports.ts';
import type { Store, StoreFailure } from '../../control/store.ts';
import type { BankFailure, SliceBank } from '../../gateway/money/bank.ts';
import { SqliteClient } from './client.ts';
import { sqliteLimits } from './limits.ts';
import type { MoneySource } from './protocol.ts';

export { inspectBackup } from './backup.ts';
export type { MoneySource } from './protocol.ts';
export type { SchemaView } from './schema.ts';
export { inspectSchema, schemaKnown } from './schema.ts';
export type { Checkpoint, RestoreOptions, RestoreReport } from './restore.ts';
export { restoreBackup } from './restore.ts';

export interface SqliteStoreOptions {
  /** The largest size of the state file; the default is that of `sqliteLimits`. */
  readonly bytesMax?: number;
}

/** The journal, and the money and the leases in the same file. Closing the store closes both; the bank's own `close` leaves the file open. */
export type SqliteStore = Store &
  MoneySource & {
    readonly bank: SliceBank;
    readonly leases: LeaseStore;
  };

/** Opens the state folder, making it where it is missing. Fails with a sentence for the operator. */
export async function openSqliteStore(
  dir: string,
  options: SqliteStoreOptions = {},
): Promise<Result<SqliteStore, StoreFailure>> {
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
    bank: bankOf(client),
    moneyPage: (page) => client.moneyPage(page),
    leases: {
      loadLeases: () => client.lease('loadLeases'),
      writeLeases: (batch) => client.lease('writeLeases', batch),
    },
  });
}

const closedBank: BankFailure = {
  kind: 'closed',
  message: 'The bank of the state file was closed.',
};

/** The money of the open file. Closing it leaves the file open for the journal. */
function bankOf(client: SqliteClient): SliceBank {
  let isClosed = false;
  const open = async <T>(
    ask: () => Promise<Result<T, BankFailure>>,
  ): Promise<Result<T, BankFailure>> => (isClosed ? err(closedBank) : ask());
  return {
    change: (batch) => open(() => client.bank('change', batch)),
    accounts: (query) => open(() => client.bank('accounts', query)),
    usage: (query) => open(() => client.bank('usage', query)),
    stale: (query) => open(() => client.bank('stale', query)),
    // One process owns the file, so there is nobody else to ask.
    onRecall: () => ({ close: () => undefined }),
    close: async () => {
      isClosed = true;
    },
  };
}
