import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { failureOf, StoreError } from './failure.ts';
import { sqliteLimits } from './limits.ts';
import type { Migration } from './migrations.ts';
import { migrate, migrations } from './migrations.ts';

export interface OpenOptions {
  /** The state folder. */
  readonly dir: string;
  readonly nowMs: number;
  /** The largest size of the state file; writes beyond it fail as on a full disk. */
  readonly bytesMax: number;
  /** The steps of the schema; the default is what this release has. */
  readonly steps?: readonly Migration[];
}

export interface OpenDatabase {
  readonly db: Database.Database;
  readonly schema: number;
  readonly close: () => void;
}

export const stateFile = 'state.db';
const ownerFile = 'state.owner';

/**
 * Opens the state file of a folder, makes both where they are missing (0700, 0600), and holds SQLite's exclusive lock
 * until it is closed. The kernel lets go of that lock when a process dies, so that nothing stale is left; the owner
 * file beside it only says whom to look for.
 */
export function openDatabase(options: OpenOptions): OpenDatabase {
  const { dir, nowMs } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const file = join(dir, stateFile);
  const owner = join(dir, ownerFile);
  touch(dir, file);
  const db = new Database(file, { timeout: sqliteLimits.lockWaitMs });
  try {
    takeLock(db, dir, owner);
    configure(db, options.bytesMax);
    const schema = migrate(db, {
      migrations: options.steps ?? migrations,
      nowMs,
      backUp: (from, to) => backUpBefore(db, dir, { from, to, nowMs }),
    });
    const note = { pid: process.pid, host: hostname(), since: new Date(nowMs).toISOString() };
    writeFileSync(owner, `${JSON.stringify(note)}\n`, { mode: 0o600 });
    const close = (): void => {
      if (!db.open) return;
      rmSync(owner, { force: true });
      db.close();
    };
    return { db, schema, close };
  } catch (cause) {
    db.close();
    throw cause;
  }
}

/** The file is there with its mode before SQLite writes to it; the log beside it takes over the mode. */
function touch(dir: string, file: string): void {
  closeSync(openSync(file, 'a', 0o600));
  chmodSync(file, 0o600);
  syncFolder(dir);
}

/** A new name is durable once its folder is. */
export function syncFolder(dir: string): void {
  // Windows has no such call for folders.
  if (process.platform === 'win32') return;
  const handle = openSync(dir, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function takeLock(db: Database.Database, dir: string, owner: string): void {
  try {
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    // A lock is taken by the first write transaction and, in this mode, kept.
    db.prepare('BEGIN IMMEDIATE').run();
    db.prepare('COMMIT').run();
  } catch (cause) {
    const failure = failureOf(cause);
    if (failure.kind !== 'in_use') throw cause;
    throw new StoreError('in_use', inUseSentence(dir, owner), { cause });
  }
}

function inUseSentence(dir: string, owner: string): string {
  let who = 'another process';
  try {
    const note: unknown = JSON.parse(readFileSync(owner, 'utf8'));
    if (typeof note === 'object' && note !== null && 'pid' in note && 'host' in note) {
      who = `process ${String(note.pid)} on ${String(note.host)}`;
      if ('since' in note) who += ` since ${String(note.since)}`;
    }
  } catch {
    // The owner has not written its note yet; the lock itself is what counts.
  }
  return `The state folder ${dir} is in use by ${who}. Stop that process, or choose another folder with POSTERN_STATE.`;
}

/** Whatever the file says, these hold: durable before acknowledged, no trust in the schema, bounded files. */
export function configure(db: Database.Database, bytesMax: number): void {
  db.pragma('synchronous = FULL');
  db.pragma('fullfsync = ON');
  db.pragma('checkpoint_fullfsync = ON');
  db.pragma('foreign_keys = ON');
  db.pragma('trusted_schema = OFF');
  db.pragma('cell_size_check = ON');
  db.pragma(`journal_size_limit = ${sqliteLimits.walBytesMax}`);
  const pageBytes = Number(db.pragma('page_size', { simple: true }));
  db.pragma(`max_page_count = ${Math.floor(bytesMax / pageBytes)}`);
}

function backUpBefore(
  db: Database.Database,
  dir: string,
  step: { readonly from: number; readonly to: number; readonly nowMs: number },
): void {
  const folder = join(dir, 'backups');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `before-schema-${step.to}-from-${step.from}-${step.nowMs}.db`);
  closeSync(openSync(file, 'wx', 0o600));
  db.prepare('VACUUM INTO ?').run(file);
  syncFolder(folder);
}
