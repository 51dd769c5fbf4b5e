import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, isJsonObject, jsonValueOf, ok } from '@postern/core/base';
import { segmentNameForm } from '@postern/core/state/audit';
import { checkpointNames } from './checkpoint-files.ts';
import { listSegments, makeFolder, piecesOf, readOf, syncFolder } from './files.ts';
import { readLogKey } from './key-file.ts';
import type { FolderVerdict } from './verify.ts';
import { verifyFolder } from './verify.ts';

/**
 * A copy of a log is one file: a first line `postern-audit-copy 1`, then for each file a line of JSON (`name`, `bytes`,
 * `sha256`) and its bytes. Checkpoints are copied before the segments, which only grow, so that a copy beside a running
 * writer holds every record that its checkpoints cover; a record that was being written is cut off by the next start.
 * Conversations are not copied: what is erased must be gone.
 */
const firstLine = 'postern-audit-copy 1\n';
/** The key comes too: a restored log goes on under the same name. */
const plainNames = ['key.pem', 'key.pub', checkpointNames.newest, checkpointNames.all];
const lineBytesMax = 512;

/** Writes the copy to a new file. Throws as files do. */
export async function copyLog(dir: string, file: string): Promise<void> {
  const target = await open(file, 'wx', 0o600);
  try {
    await target.appendFile(firstLine);
    for (const name of plainNames) {
      await readOf(path.join(dir, name), (source) => copyFile(source, name, target));
    }
    for (const { file: segment } of await listSegments(dir)) {
      const source = await open(segment, 'r');
      try {
        await copyFile(source, path.basename(segment), target);
      } finally {
        await source.close();
      }
    }
    await target.sync();
  } finally {
    await target.close();
  }
}

/** What a file holds now: it may grow meanwhile, and what is there stays as it is. */
async function copyFile(source: FileHandle, name: string, target: FileHandle): Promise<void> {
  const { size } = await source.stat();
  const hash = createHash('sha256');
  for await (const piece of piecesOf(source, 0, size)) hash.update(piece);
  await target.appendFile(headerOf(name, size, hash));
  for await (const piece of piecesOf(source, 0, size)) await target.appendFile(piece);
}

function headerOf(name: string, bytes: number, hash: Hash): string {
  return `${JSON.stringify({ name, bytes, sha256: hash.digest('hex') })}\n`;
}

/** Makes a folder from a copy and verifies it; the folder must not be there. It is removed again where it is not whole. */
export async function restoreLog(
  file: string,
  dir: string,
): Promise<Result<FolderVerdict, string>> {
  if (existsSync(dir)) return err(`${dir} is there already.`);
  await makeFolder(dir);
  const restored = await restoreInto(file, dir);
  if (!restored.ok) await rm(dir, { recursive: true, force: true });
  return restored;
}

async function restoreInto(file: string, dir: string): Promise<Result<FolderVerdict, string>> {
  const damaged = (why: string): Result<never, string> =>
    err(`${file} is not a whole copy of an audit log: ${why}.`);
  const source = await open(file, 'r');
  try {
    const { size } = await stat(file);
    const begin = Buffer.alloc(firstLine.length);
    await source.read(begin, 0, begin.length, 0);
    if (begin.toString('latin1') !== firstLine) return damaged('its first line is another');
    let at = firstLine.length;
    while (at < size) {
      const line = Buffer.alloc(lineBytesMax);
      const { bytesRead } = await source.read(line, 0, lineBytesMax, at);
      const end = line.subarray(0, bytesRead).indexOf(10);
      const header = readHeader(line.toString('utf8', 0, Math.max(end, 0)));
      if (header === undefined) return damaged(`byte ${at} begins no file`);
      at += end + 1;
      if (header.bytes > size - at) return damaged(`${header.name} is cut off`);
      const hash = await restoreFile(source, at, header.bytes, path.join(dir, header.name));
      at += header.bytes;
      if (headerOf(header.name, header.bytes, hash) !== header.line) {
        return damaged(`${header.name} was changed`);
      }
    }
  } finally {
    await source.close();
  }
  await syncFolder(dir);
  const key = await readLogKey(dir);
  if (key === undefined) return damaged('it holds no key');
  const verdict = await verifyFolder(dir, { key });
  return verdict.flaw === undefined ? ok(verdict) : damaged(verdict.flaw.what);
}

async function restoreFile(
  source: FileHandle,
  at: number,
  bytes: number,
  file: string,
): Promise<Hash> {
  const hash = createHash('sha256');
  const target = await open(file, 'wx', 0o600);
  try {
    for await (const piece of piecesOf(source, at, bytes)) {
      hash.update(piece);
      await target.appendFile(piece);
    }
    await target.sync();
  } finally {
    await target.close();
  }
  return hash;
}

function readHeader(
  text: string,
): { readonly name: string; readonly bytes: number; readonly line: string } | undefined {
  const value = jsonValueOf(text);
  if (!isJsonObject(value)) return undefined;
  const { name, bytes } = value;
  if (typeof name !== 'string' || typeof bytes !== 'number') return undefined;
  const isOurs = plainNames.includes(name) || segmentNameForm.test(name);
  const isLength = Number.isSafeInteger(bytes) && bytes >= 0;
  return isOurs && isLength ? { name, bytes, line: `${text}\n` } : undefined;
}
