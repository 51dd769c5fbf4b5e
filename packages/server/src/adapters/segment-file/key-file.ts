import type { KeyObject } from 'node:crypto';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  sign,
  verify,
} from 'node:crypto';
import { chmod, open, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { toHex } from '@postern/core/base';
import type { Ed25519Sign, Ed25519Verify, NoteKey, Sha256 } from '@postern/core/state/audit';
import { hashBytes, noteAlgorithms, noteKeyText, readNoteKey } from '@postern/core/state/audit';
import { isCode, textOf, makeFolder, syncFolder } from './files.ts';

/** The key of a log: it signs checkpoints, and the log is named after it. */
export interface LogKey {
  readonly key: NoteKey;
  readonly sign: Ed25519Sign;
}

const keyName = 'key.pem';
/** The same for whoever verifies. */
const publicName = 'key.pub';

/**
 * One call into OpenSSL without an object for it: this runs for every record. A text of 32 Latin-1 characters costs a quarter
 * of the buffer that the call would make, so a caller that brings memory gets the hash there.
 */
export const nodeSha256: Sha256 = (bytes, into) => {
  if (into === undefined) return hash('sha256', bytes, 'buffer');
  const text = hash('sha256', bytes, 'binary');
  for (let at = 0; at < hashBytes; at += 1) into[at] = text.charCodeAt(at);
  return into;
};

/** DER of SubjectPublicKeyInfo for Ed25519 (RFC 8410) up to the 32 bytes of the key. */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

export const nodeEd25519Verify: Ed25519Verify = (publicKey, message, signature) => {
  try {
    const der = Buffer.concat([spkiPrefix, publicKey]);
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return verify(null, message, key, signature);
  } catch {
    // Bytes that are no point of the curve verify nothing.
    return false;
  }
};

/** The key of a folder, made with its first log. Only its owner may read it. */
export async function openLogKey(dir: string): Promise<LogKey> {
  const file = path.join(dir, keyName);
  const pem = await readFile(file, 'utf8').catch(async (cause: unknown) => {
    if (isCode(cause, 'ENOENT')) return makeKey(dir, file);
    throw cause;
  });
  await chmod(file, 0o600);
  const made = logKey(createPrivateKey(pem));
  const text = `${noteKeyText(made.key, nodeSha256)}\n`;
  const shown = path.join(dir, publicName);
  const known = await readFile(shown, 'utf8').catch(() => '');
  if (known !== text) await writeFile(shown, text, { mode: 0o600 });
  return made;
}

/** The public key that a folder names; undefined where there is none. */
export async function readLogKey(dir: string): Promise<NoteKey | undefined> {
  const text = await textOf(path.join(dir, publicName));
  return text === undefined ? undefined : readNoteKey(text.trim(), nodeSha256);
}

function logKey(secret: KeyObject): LogKey {
  const publicKey = new Uint8Array(
    createPublicKey(secret).export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length),
  );
  const id = toHex(createHash('sha256').update(publicKey).digest()).slice(0, 16);
  const key = { name: `postern.dev/audit/${id}`, algorithm: noteAlgorithms.ed25519, publicKey };
  return { key, sign: (message) => new Uint8Array(sign(null, message, secret)) };
}

async function makeKey(dir: string, file: string): Promise<string> {
  await makeFolder(dir);
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(pem);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncFolder(dir);
  return pem;
}
