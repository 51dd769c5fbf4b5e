import { mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, fromHex, ok, toHex } from '@postern/core/base';
import type { KeyPair } from './noise/index.ts';
import { generateKeyPair, keyPairOf, rawPrivate } from './noise/index.ts';

const prefix = 'privkey:';
export const controlKeyFile = 'control.key';
const fileMode = 0o600;
const folderMode = 0o700;

/**
 * The key by which machines know this server, made at the first start. Never replaced silently: a file that cannot be
 * read stops the start, since with another key every client would have to begin anew.
 */
export async function loadControlKey(folder: string): Promise<Result<KeyPair, string>> {
  const file = path.join(folder, controlKeyFile);
  await mkdir(folder, { recursive: true, mode: folderMode });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    return isMissing ? createControlKey(file) : err(`${file} cannot be read: ${String(cause)}`);
  }
  const raw = text.startsWith(prefix) ? fromHex(text.trim().slice(prefix.length)) : undefined;
  if (raw?.length !== 32) {
    return err(
      `${file} holds no control key. Restore it from a backup; to let every machine begin anew, move it away.`,
    );
  }
  return ok(keyPairOf(raw));
}

async function createControlKey(file: string): Promise<Result<KeyPair, string>> {
  const pair = generateKeyPair();
  // Exclusive: two starts at once must not end with two keys.
  const handle = await open(file, 'wx', fileMode);
  try {
    await handle.writeFile(`${prefix}${toHex(rawPrivate(pair))}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return ok(pair);
}

export function machineKeyText(publicKey: Uint8Array): string {
  return `mkey:${toHex(publicKey)}`;
}
