import { mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Result, Secret } from '@postern/core/base';
import { err, fromHex, ok, toHex } from '@postern/core/base';
import type { KeyPair } from './noise/index.ts';
import { generateKeyPair, keyPairOf, rawPrivate } from './noise/index.ts';
import type { NetworkShare } from './ports.ts';

const prefix = 'privkey:';
export const controlKeyFile = 'control.key';
const fileMode = 0o600;
const folderMode = 0o700;

export interface ControlKeySource {
  readonly folder: string;
  /** As the operator gave it, in place of one of our own. */
  readonly given?: Secret | undefined;
  readonly share?: NetworkShare | undefined;
}

/**
 * The key by which machines know this server. It is in the state folder, made at the first start or taken from what the
 * operator gave. Never replaced silently: a file that cannot be read, or that is not the key of the other servers of the
 * network, stops the start, since with another key every client would have to begin anew.
 */
export async function loadControlKey(source: ControlKeySource): Promise<Result<KeyPair, string>> {
  const { folder, given, share } = source;
  const claimed = await share?.claimKey();
  if (claimed?.ok === false) return claimed;
  const pair = await ownKey(path.join(folder, controlKeyFile), given, claimed?.value);
  if (!pair.ok || share === undefined) return pair;
  const own = machineKeyText(pair.value.publicKey);
  const held = await share.claimKey(own);
  if (!held.ok) return held;
  return held.value === own
    ? pair
    : err(
        `The network of this store is known by ${held.value ?? 'no key'}, and this server has ${own}. Give every gateway the same engine.controlKey.`,
      );
}

async function ownKey(
  file: string,
  given: Secret | undefined,
  claimed: string | undefined,
): Promise<Result<KeyPair, string>> {
  const wanted = given === undefined ? undefined : readKey(given.reveal());
  if (wanted === null) return err('engine.controlKey: 32 bytes in hex are needed.');
  await mkdir(path.dirname(file), { recursive: true, mode: folderMode });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    if (!isMissing) return err(`${file} cannot be read: ${String(cause)}`);
    if (wanted !== undefined) return ok(await keepKey(file, wanted));
    if (claimed === undefined) return ok(await keepKey(file, generateKeyPair()));
    return err(
      `The network of this store is known by ${claimed}, and this gateway does not have that key. Copy ${controlKeyFile} of another gateway to ${file}, or give every gateway the same engine.controlKey.`,
    );
  }
  const pair = readKey(text);
  if (pair === null) {
    return err(
      `${file} holds no control key. Restore it from a backup; to let every machine begin anew, move it away.`,
    );
  }
  const isOther = wanted !== undefined && toHex(wanted.publicKey) !== toHex(pair.publicKey);
  return isOther
    ? err(`${file} holds another key than engine.controlKey. Move away the one that is wrong.`)
    : ok(pair);
}

/** Null where the text is no key. */
function readKey(text: string): KeyPair | null {
  const trimmed = text.trim();
  const hex = trimmed.startsWith(prefix) ? trimmed.slice(prefix.length) : trimmed;
  const raw = hex.length === 64 ? fromHex(hex) : undefined;
  return raw?.length === 32 ? keyPairOf(raw) : null;
}

/** Exclusive: two starts at once must not end with two keys. */
async function keepKey(file: string, pair: KeyPair): Promise<KeyPair> {
  const handle = await open(file, 'wx', fileMode);
  try {
    await handle.writeFile(`${prefix}${toHex(rawPrivate(pair))}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return pair;
}

export function machineKeyText(publicKey: Uint8Array): string {
  return `mkey:${toHex(publicKey)}`;
}
