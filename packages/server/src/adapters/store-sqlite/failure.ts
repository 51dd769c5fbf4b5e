import Database from 'better-sqlite3';
import type { StoreFailure } from '../../control/store.ts';

/** A failure on its way out of nested calls; the border of this folder turns it into a value. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreFailure['kind'];

  constructor(kind: StoreFailure['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

const sentences: Readonly<Record<StoreFailure['kind'], string>> = {
  unavailable: 'The state file cannot be used',
  full: 'There is no space left for the state file',
  in_use: 'The state file is locked by another process',
  corrupt: 'The state file is damaged; restore a backup with `postern restore`',
  unsupported: 'The state file is of another release',
  conflict: 'The state file was changed by somebody else',
  refused: 'Refused',
};

/** What went wrong as a value. Anything that is neither SQLite's nor the system's nor ours is a defect and is thrown on. */
export function failureOf(cause: unknown): StoreFailure {
  if (cause instanceof StoreError) return { kind: cause.kind, message: cause.message };
  if (!(cause instanceof Error) || !('code' in cause) || typeof cause.code !== 'string') {
    throw cause;
  }
  const kind =
    cause instanceof Database.SqliteError ? sqliteKind(cause.code) : fileKind(cause.code);
  return { kind, message: `${sentences[kind]}: ${cause.message} (${cause.code}).` };
}

function sqliteKind(code: string): StoreFailure['kind'] {
  if (code === 'SQLITE_FULL') return 'full';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'in_use';
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return 'corrupt';
  return 'unavailable';
}

function fileKind(code: string): StoreFailure['kind'] {
  return code === 'ENOSPC' || code === 'EDQUOT' ? 'full' : 'unavailable';
}
