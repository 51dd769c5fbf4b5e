import { hkdf, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { ok, Secret } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import type { GroupKey } from '../../control/registry/index.ts';

const masterBytes = 32;
/** As many as the shared key of the original had. */
const groupKeyBytes = 64;
const derive = promisify(hkdf);

/** Keys of types from one secret in the state folder: a new epoch has a new key, and the journal has none. */
export function groupKeys(stateDir: string): GroupKey {
  const file = path.join(stateDir, 'registry.key');
  return async (nodeType, epoch) => {
    const master = await masterOf(file);
    if (master === undefined) {
      return refuse('state_unavailable', `${file} cannot be read, or is no key of the registry.`);
    }
    const info = JSON.stringify(['postern.registry.group.v1', nodeType, epoch]);
    const key = await derive('sha512', master, '', info, groupKeyBytes);
    return ok(new Secret(Buffer.from(key).toString('base64')));
  };
}

/** Made with the first question; of two that ask at once, both get the one that was first. */
async function masterOf(file: string): Promise<Buffer | undefined> {
  await writeFile(file, randomBytes(masterBytes), { flag: 'wx', mode: 0o600, flush: true }).catch(
    () => undefined,
  );
  const bytes = await readFile(file).catch(() => undefined);
  return bytes?.length === masterBytes ? bytes : undefined;
}
