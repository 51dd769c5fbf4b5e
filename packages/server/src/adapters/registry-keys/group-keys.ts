import { hkdf, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Result, Secret as SecretText } from '@postern/core/base';
import { ok, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { GroupKey } from '../../control/registry/index.ts';

const masterBytes = 32;
/** As many as the shared key of the original had. */
const groupKeyBytes = 64;
const derive = promisify(hkdf);

export interface GroupKeysOptions {
  readonly stateDir: string;
  /** The secret that several gateways share; undefined: one of our own, in the state folder. */
  readonly shared: () => Promise<Result<SecretText, Refusal>> | undefined;
}

/** Keys of types from one secret: a new epoch has a new key, and the journal has none. */
export function groupKeys({ stateDir, shared }: GroupKeysOptions): GroupKey {
  const file = path.join(stateDir, 'registry.key');
  return async (nodeType, epoch) => {
    const master = await (shared()?.then(masterOfSecret) ?? masterOfFile(file));
    if (!master.ok) return master;
    const info = JSON.stringify(['postern.registry.group.v1', nodeType, epoch]);
    const key = await derive('sha512', master.value, '', info, groupKeyBytes);
    return ok(new Secret(Buffer.from(key).toString('base64')));
  };
}

function masterOfSecret(read: Result<SecretText, Refusal>): Result<Uint8Array, Refusal> {
  if (!read.ok) return refuse('state_unavailable', `registry.key: ${read.error.message}`);
  const bytes = Buffer.from(read.value.reveal());
  return bytes.length >= masterBytes
    ? ok(bytes)
    : refuse('state_unavailable', `registry.key: the secret has fewer than ${masterBytes} bytes.`);
}

/** Made with the first question; of two that ask at once, both get the one that was first. */
async function masterOfFile(file: string): Promise<Result<Uint8Array, Refusal>> {
  await writeFile(file, randomBytes(masterBytes), { flag: 'wx', mode: 0o600, flush: true }).catch(
    () => undefined,
  );
  const bytes = await readFile(file).catch(() => undefined);
  return bytes?.length === masterBytes
    ? ok(bytes)
    : refuse('state_unavailable', `${file} cannot be read, or is no key of the registry.`);
}
