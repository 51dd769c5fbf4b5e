import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Actor, Head } from '@postern/core/state';
import { sealRecord } from '@postern/core/state';
import type { BackupManifest, StoreFailure } from '../../control/store.ts';
import { extractBackup, openCopy } from './backup.ts';
import { stateFile, syncFolder } from './database.ts';
import type { Engine } from './engine.ts';
import { sha256Hex } from './engine.ts';
import { failureOf, StoreError } from './failure.ts';

/** A record that is known, from outside, to have been in the journal: the last one that a signed checkpoint covers. */
export type Checkpoint = Head;

export interface RestoreOptions {
  readonly file: string;
  /** The state folder to make. It may hold configuration files, nothing else. */
  readonly dir: string;
  readonly actor: Actor;
  readonly nowMs: number;
  readonly checkpoint?: Checkpoint;
  /** Accept a backup that ends before the checkpoint: what came in between is lost, and cannot be checked. */
  readonly allowOlder?: boolean;
}

export interface RestoreReport {
  readonly manifest: BackupManifest;
  /** The `state.restored` record, which continues the chain of the backup. */
  readonly head: Head;
}

/**
 * Makes a state folder from a backup. Everything is verified in a file aside; only a whole and accepted state gets
 * the name that a start looks for, so that a restore that was cut off leaves nothing that runs.
 */
export async function restoreBackup(
  options: RestoreOptions,
): Promise<Result<RestoreReport, StoreFailure>> {
  const aside = join(options.dir, `${stateFile}.restoring`);
  try {
    await refuseOccupied(options.dir);
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
    await chmod(options.dir, 0o700);
    await removeAside(aside);
    try {
      const report = await restoreAside(options, aside);
      await rename(aside, join(options.dir, stateFile));
      syncFolder(options.dir);
      return ok(report);
    } finally {
      await removeAside(aside);
    }
  } catch (cause) {
    return err(failureOf(cause));
  }
}

async function refuseOccupied(dir: string): Promise<void> {
  const found = existsSync(dir) ? await readdir(dir) : [];
  const occupied = found.find(
    (name) => !name.endsWith('.hujson') && !name.startsWith(`${stateFile}.restoring`),
  );
  if (occupied === undefined) return;
  throw new StoreError(
    'refused',
    `${dir} is not empty: it holds ${occupied}. Move the folder aside, or restore into another one.`,
  );
}

async function removeAside(aside: string): Promise<void> {
  for (const ending of ['', '-wal', '-shm', '-journal']) await rm(aside + ending, { force: true });
}

async function restoreAside(options: RestoreOptions, aside: string): Promise<RestoreReport> {
  const { file, actor, nowMs } = options;
  const manifest = await extractBackup(file, aside);
  const { db, engine, report } = await openCopy(file, aside, manifest);
  try {
    checkFork(engine, options);
    const { index, hash } = report.head;
    const row = sealRecord(
      report.head,
      {
        atMs: nowMs,
        actor,
        command: 'state.restored',
        events: [
          { kind: 'state.restored', index, headHash: hash, backupAtMs: manifest.createdAtMs },
        ],
      },
      sha256Hex,
    );
    db.pragma('synchronous = FULL');
    engine.append([row]);
    return { manifest, head: { index: row.index, hash: row.hash } };
  } finally {
    db.close();
  }
}

function checkFork(engine: Engine, options: RestoreOptions): void {
  const { checkpoint, file } = options;
  if (checkpoint === undefined || checkpoint.index === 0) return;
  const head = engine.head();
  if (head.index < checkpoint.index) {
    if (options.allowOlder === true) return;
    throw new StoreError(
      'refused',
      `${file} ends at record ${head.index}, before the checkpoint at ${checkpoint.index}: the records in between would be lost. Say that this is meant, or use a newer backup.`,
    );
  }
  const [row] = engine.readAfter(checkpoint.index - 1, 1);
  if (row?.hash === checkpoint.hash) return;
  throw new StoreError(
    'refused',
    `${file} is a fork: its record ${checkpoint.index} is not the one of the checkpoint. It was not made by this journal.`,
  );
}
