import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { canonicalJson } from '@postern/core/state';
import Database from 'better-sqlite3';
import type { BackupManifest, StoreFailure, VerifyReport } from '../../control/store.ts';
import type { OpenDatabase } from './database.ts';
import { syncFolder } from './database.ts';
import { Engine, sha256Hex } from './engine.ts';
import { failureOf, StoreError } from './failure.ts';
import { sqliteLimits } from './limits.ts';
import { readManifest } from './manifest.ts';
import { migrate, migrations } from './migrations.ts';
import { verifyDatabase } from './verify.ts';

/**
 * A backup is one file: `postern-backup 1 ` and the SHA-256 of the second line, the manifest as canonical JSON, and
 * the bytes of a database that has no log beside it. Every byte is covered: the first line by its fixed form, the
 * second by the first, the rest by the second.
 */
export async function writeBackup(
  source: OpenDatabase,
  file: string,
  nowMs: number,
): Promise<BackupManifest> {
  if (existsSync(file)) throw new StoreError('refused', `${file} exists already.`);
  const work = await mkdtemp(join(dirname(file), '.postern-backup-'));
  try {
    const copy = join(work, 'state.db');
    // SQLite's online backup: commits of this connection that come meanwhile go into the copy as well.
    await source.db.backup(copy);
    const content = contentOf(copy);
    const { bytes, sha256 } = await digestOf(copy);
    const manifest: BackupManifest = {
      format: 'postern-backup',
      version: 1,
      createdAtMs: nowMs,
      schema: source.schema,
      ...content,
      bytes,
      sha256,
    };
    const whole = join(work, 'backup');
    await writeContainer(whole, manifest, copy);
    if (existsSync(file)) throw new StoreError('refused', `${file} exists already.`);
    await rename(whole, file);
    syncFolder(dirname(file));
    return manifest;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

type Content = Pick<BackupManifest, 'records' | 'headIndex' | 'headHash'>;

/** What the copy holds; also makes it a file of its own, without a log. */
function contentOf(copy: string): Content {
  const db = new Database(copy);
  try {
    db.pragma('journal_mode = DELETE');
    const engine = new Engine(db);
    const head = engine.head();
    return { records: engine.count(), headIndex: head.index, headHash: head.hash };
  } finally {
    db.close();
  }
}

async function writeContainer(file: string, manifest: BackupManifest, copy: string): Promise<void> {
  const line = canonicalJson(manifest);
  const target = await open(file, 'wx', 0o600);
  try {
    await target.write(`postern-backup 1 ${sha256Hex(line)}\n${line}\n`);
    for await (const chunk of chunksOf(copy, 0)) await target.write(chunk);
    await target.sync();
  } finally {
    await target.close();
  }
}

async function* chunksOf(file: string, from: number): AsyncGenerator<Uint8Array> {
  const source = await open(file, 'r');
  try {
    const buffer = new Uint8Array(sqliteLimits.copyChunkBytes);
    let at = from;
    for (;;) {
      const { bytesRead } = await source.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await source.close();
  }
}

async function digestOf(
  file: string,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(file, 0)) hash.update(chunk);
  return { bytes: (await stat(file)).size, sha256: hash.digest('hex') };
}

/** Writes the database inside a backup to a new file, and checks size and digest on the way. */
export async function extractBackup(file: string, target: string): Promise<BackupManifest> {
  const { manifest, headerBytes } = await readHeader(file);
  const size = (await stat(file)).size - headerBytes;
  if (size !== manifest.bytes) {
    throw damaged(file, `it has ${size} bytes of database instead of ${manifest.bytes}`);
  }
  const hash = createHash('sha256');
  const sink = await open(target, 'wx', 0o600);
  try {
    for await (const chunk of chunksOf(file, headerBytes)) {
      hash.update(chunk);
      await sink.write(chunk);
    }
    await sink.sync();
  } finally {
    await sink.close();
  }
  if (hash.digest('hex') !== manifest.sha256) {
    throw damaged(file, 'its database does not have the SHA-256 of the manifest');
  }
  return manifest;
}

async function readHeader(
  file: string,
): Promise<{ readonly manifest: BackupManifest; readonly headerBytes: number }> {
  const source = await open(file, 'r');
  try {
    const header = await firstLines(source);
    const manifest = header === undefined ? undefined : readManifest(header, sha256Hex);
    if (header === undefined || manifest === undefined) {
      throw damaged(file, 'its first two lines are not those of a backup');
    }
    return { manifest, headerBytes: Buffer.byteLength(header, 'utf8') };
  } finally {
    await source.close();
  }
}

async function firstLines(source: FileHandle): Promise<string | undefined> {
  const buffer = Buffer.alloc(sqliteLimits.manifestBytesMax);
  const { bytesRead } = await source.read(buffer, 0, buffer.length, 0);
  const end = buffer.indexOf(0x0a, buffer.indexOf(0x0a) + 1);
  // Latin-1 keeps one character a byte, so that no damage is hidden by a replacement character.
  return end < 0 || end >= bytesRead ? undefined : buffer.toString('latin1', 0, end + 1);
}

export function damaged(file: string, why: string): StoreError {
  return new StoreError('corrupt', `${file} is not a whole backup: ${why}.`);
}

export interface BackupReport {
  readonly manifest: BackupManifest;
  readonly report: VerifyReport;
}

/** Reads a backup as a restore would, in a temporary folder that is removed again. */
export async function inspectBackup(file: string): Promise<Result<BackupReport, StoreFailure>> {
  try {
    const work = await mkdtemp(join(tmpdir(), 'postern-inspect-'));
    try {
      const copy = join(work, 'state.db');
      const manifest = await extractBackup(file, copy);
      const { report, db } = await openCopy(file, copy, manifest);
      db.close();
      return ok({ manifest, report });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  } catch (cause) {
    return err(failureOf(cause));
  }
}

/** Opens an extracted copy, brings its schema up to date and verifies all of it against its manifest. */
export async function openCopy(
  file: string,
  copy: string,
  manifest: BackupManifest,
): Promise<{
  readonly db: Database.Database;
  readonly engine: Engine;
  readonly report: VerifyReport;
}> {
  const db = new Database(copy);
  try {
    // The backup itself is the copy put aside.
    migrate(db, { migrations, nowMs: manifest.createdAtMs, backUp: () => undefined });
    const engine = new Engine(db);
    const report = await verifyDatabase(db, engine);
    const { records, headIndex, headHash } = manifest;
    const { head } = report;
    if (report.records !== records || head.index !== headIndex || head.hash !== headHash) {
      throw damaged(file, 'its journal is not the one that the manifest names');
    }
    if (!report.intact) throw damaged(file, report.findings.join(' '));
    return { db, engine, report };
  } catch (cause) {
    db.close();
    throw cause;
  }
}
