import { open, rename } from 'node:fs/promises';
import path from 'node:path';
import { equalBytes, fromHex, isJsonObject, jsonValueOf, toHex } from '@postern/core/base';
import type { Checkpoint, NoteKey } from '@postern/core/state/audit';
import { readCheckpoint, readNote, TreeEdge, verifyNote } from '@postern/core/state/audit';
import type { LogMark } from '../../observe/audit/index.ts';
import { syncFolder, textOf } from './files.ts';
import { nodeEd25519Verify, nodeSha256 } from './key-file.ts';
import type { Resume } from './recover.ts';

export const checkpointNames = Object.freeze({
  newest: 'checkpoint',
  all: 'checkpoints',
  resume: 'resume.json',
});

const crypto = { sha256: nodeSha256, verify: nodeEd25519Verify };

/** Replaces a file whole: a reader finds the old or the new one. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const aside = `${file}.new`;
  const handle = await open(aside, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(aside, file);
  await syncFolder(path.dirname(file));
}

/**
 * Appends a note and an empty line. What an append that failed left behind, which has no empty line at its end, is
 * ended first, so that it spoils no other note.
 */
export async function appendNote(file: string, note: string): Promise<void> {
  const handle = await open(file, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const end = Buffer.alloc(Math.min(size, 2));
    await handle.read(end, 0, end.length, size - end.length);
    const isWhole = size === 0 || end.toString('latin1') === '\n\n';
    await handle.appendFile(`${isWhole ? '' : '\n\n'}${note}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The newest checkpoint of a folder, where the key signed it. */
export async function readNewest(dir: string, key: NoteKey): Promise<Checkpoint | undefined> {
  const note = await textOf(path.join(dir, checkpointNames.newest));
  return note === undefined ? undefined : checkedCheckpoint(note, key);
}

/** Where a start goes on: the file is believed only where it agrees with the newest checkpoint, which is signed. */
export async function readResume(
  dir: string,
  checkpoint: Checkpoint | undefined,
): Promise<Resume | undefined> {
  if (checkpoint === undefined) return undefined;
  const value = jsonValueOf((await textOf(path.join(dir, checkpointNames.resume))) ?? '');
  const edge = isJsonObject(value) ? value['edge'] : undefined;
  if (!Array.isArray(edge) || !isJsonObject(value) || value['size'] !== checkpoint.size) {
    return undefined;
  }
  const whole = edge.flatMap((hash) => {
    const bytes = typeof hash === 'string' ? fromHex(hash) : undefined;
    return bytes?.length === 32 ? [bytes] : [];
  });
  try {
    const tree = new TreeEdge(nodeSha256, { size: checkpoint.size, hashes: whole });
    if (!equalBytes(tree.root(), checkpoint.root)) return undefined;
  } catch {
    // Not as many hashes as the size needs: the log is read from its beginning instead.
    return undefined;
  }
  return { size: checkpoint.size, hash: checkpoint.chain, edge: whole };
}

export async function writeResume(dir: string, { head, edge }: LogMark): Promise<void> {
  const text = JSON.stringify({ size: head.size, edge: edge.map(toHex) });
  await replaceFile(path.join(dir, checkpointNames.resume), `${text}\n`);
}

/** The checkpoint of a note that this key signed. */
export function checkedCheckpoint(text: string, key: NoteKey): Checkpoint | undefined {
  const note = readNote(text);
  if (note === undefined || verifyNote(note, key, crypto) === undefined) return undefined;
  const checkpoint = readCheckpoint(note.text);
  return checkpoint?.origin === key.name ? checkpoint : undefined;
}

/** Whether every one of these witnesses cosigned a note that holds a checkpoint (C2SP tlog-cosignature). */
export function isCosigned(text: string, witnesses: readonly NoteKey[]): boolean {
  const note = readNote(text);
  if (note === undefined) return false;
  return witnesses.every((key) => verifyNote(note, key, crypto)?.timeMs !== undefined);
}
