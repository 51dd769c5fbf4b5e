import { createHash } from 'node:crypto';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Head, JournalRow } from '@postern/core/state';
import {
  canonicalJson,
  emptySnapshot,
  encodeState,
  genesis,
  headOf,
  replay,
} from '@postern/core/state';
import type { BackupManifest, Store, StoredState, StoreFailure } from '@postern/server/control';

/** What outlives a memory store: its disk, as far as it has one. */
export interface MemoryDisk {
  rows: JournalRow[];
  state: StoredState | undefined;
  readonly backups: Map<string, readonly JournalRow[]>;
  /** As on a disk that is full beyond so many rows. */
  rowsMax: number;
  isOwned: boolean;
}

export function createMemoryDisk(): MemoryDisk {
  return { rows: [], state: undefined, backups: new Map(), rowsMax: Infinity, isOwned: false };
}

const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');
/** Small, so that every suite that uses it pages. */
const pageRows = 100;

/** A store in memory with the promises of the real ones, except that it is gone with its disk. */
export function openMemoryStore(disk: MemoryDisk): Result<Store, StoreFailure> {
  if (disk.isOwned) return err({ kind: 'in_use', message: 'The disk is in use.' });
  disk.isOwned = true;
  let isClosed = false;
  const head = (): Head => {
    const last = disk.rows.at(-1);
    return last === undefined ? genesis : { index: last.index, hash: last.hash };
  };
  /** Every method answers later, as a real store does, and not at all once it is closed. */
  const later = async <T>(
    work: () => Result<T, StoreFailure>,
  ): Promise<Result<T, StoreFailure>> => {
    await Promise.resolve();
    return isClosed ? err({ kind: 'unavailable', message: 'The store is closed.' }) : work();
  };
  return ok({
    load: (from) =>
      later(() => {
        const state = from === 'state' ? disk.state : undefined;
        const start = state?.head.index ?? 0;
        return ok({ state, rows: disk.rows.slice(start, start + pageRows), head: head() });
      }),
    readAfter: (index) => later(() => ok(disk.rows.slice(index, index + pageRows))),
    append: (rows) => later(() => append(disk, head(), structuredClone(rows))),
    materialise: () =>
      later(() => {
        const whole = replay(emptySnapshot(), disk.rows, sha256Hex);
        if (!whole.ok) return err({ kind: 'corrupt', message: whole.error.what });
        const at = headOf(whole.value);
        disk.state = { head: at, atMs: whole.value.atMs, body: encodeState(whole.value) };
        return ok(at);
      }),
    backup: (file) => later(() => backup(disk, file, head())),
    verify: () =>
      later(() => {
        const whole = replay(emptySnapshot(), disk.rows, sha256Hex);
        const findings = whole.ok ? [] : [`record ${whole.error.index}: ${whole.error.what}`];
        return ok({ intact: whole.ok, records: disk.rows.length, head: head(), findings });
      }),
    close: () => {
      if (!isClosed) disk.isOwned = false;
      isClosed = true;
      return Promise.resolve();
    },
  });
}

function append(
  disk: MemoryDisk,
  head: Head,
  rows: readonly JournalRow[],
): Result<void, StoreFailure> {
  let at = head;
  for (const { index, prevHash, hash } of rows) {
    if (index !== at.index + 1 || prevHash !== at.hash) {
      return err({ kind: 'conflict', message: `Record ${index} does not follow ${at.index}.` });
    }
    at = { index, hash };
  }
  if (at.index > disk.rowsMax) return err({ kind: 'full', message: 'The disk is full.' });
  disk.rows = [...disk.rows, ...rows];
  return ok(undefined);
}

function backup(disk: MemoryDisk, file: string, head: Head): Result<BackupManifest, StoreFailure> {
  if (disk.backups.has(file)) return err({ kind: 'refused', message: `${file} exists already.` });
  disk.backups.set(file, disk.rows);
  const text = canonicalJson(disk.rows);
  return ok({
    format: 'postern-backup',
    version: 1,
    createdAtMs: 0,
    schema: 1,
    records: disk.rows.length,
    headIndex: head.index,
    headHash: head.hash,
    bytes: text.length,
    sha256: sha256Hex(text),
  });
}
