import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { err, isJsonObject, jsonValueOf, ok, type Result, type Secret } from '@postern/core/base';
import { readKeyFile } from './file-source.ts';

/** What a machine keeps of its enrolment: the key of renewals, and the instance that the authority named. */
export interface Enrolment {
  readonly renewalKey: KeyObject;
  /** Raw Ed25519 key of 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Undefined until the authority has answered. */
  readonly instance: string | undefined;
}

const idPattern = /^[0-9a-f]{40}$/;

/** Reads the enrolment of a folder, or begins one. A key that others may read is refused, not used. */
export async function openEnrolment(
  file: string,
  uid: number | undefined,
): Promise<Result<Enrolment, string>> {
  const text = await readKeyFile(file, uid);
  if (text.ok) return readEnrolmentFile(file, text.value);
  if (!text.error.includes('ENOENT')) return text;
  const { privateKey } = generateKeyPairSync('ed25519');
  const begun = enrolmentOf(privateKey, undefined);
  const written = await writeEnrolment(file, begun);
  return written.ok ? ok(begun) : written;
}

function readEnrolmentFile(file: string, text: Secret): Result<Enrolment, string> {
  const value = jsonValueOf(text.reveal());
  if (value === undefined || !isJsonObject(value))
    return err(`${file}: damaged; remove it to join anew`);
  const { renewal_key: pem, instance } = value;
  if (typeof pem !== 'string') return err(`${file}: no renewal key`);
  if (instance !== undefined && (typeof instance !== 'string' || !idPattern.test(instance))) {
    return err(`${file}: no instance`);
  }
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') return err(`${file}: not an Ed25519 key`);
    return ok(enrolmentOf(key, instance));
  } catch {
    return err(`${file}: its key cannot be read`);
  }
}

function enrolmentOf(renewalKey: KeyObject, instance: string | undefined): Enrolment {
  const spki = createPublicKey(renewalKey).export({ format: 'der', type: 'spki' });
  return { renewalKey, publicKey: new Uint8Array(spki.subarray(-32)), instance };
}

/** Replaces the file whole: after a crash it is the old one or the new one. */
export async function writeEnrolment(
  file: string,
  { renewalKey, instance }: Enrolment,
): Promise<Result<void, string>> {
  const pem = renewalKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const text = JSON.stringify({
    renewal_key: pem,
    ...(instance === undefined ? {} : { instance }),
  });
  const draft = `${file}.new`;
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await rm(draft, { force: true });
    const handle = await open(draft, 'wx', 0o600);
    try {
      await handle.writeFile(`${text}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
    return ok(undefined);
  } catch (cause) {
    return err(`${file}: ${cause instanceof Error ? cause.message : 'cannot be written'}`);
  }
}
