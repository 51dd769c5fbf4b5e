import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { ok } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import type { Egress } from '../../http/index.ts';
import type { LoadKeySet } from './issuer-keys.ts';
import { loadMsMax } from './issuer-keys.ts';
import { keySetBytesMax } from './key-set.ts';

/**
 * A key set behind an address that the operator wrote. Redirects, other statuses than 200, slow and large answers are
 * failures; the last good set then stays in use.
 */
export function keySetFromUrl(egress: Egress, url: string): LoadKeySet {
  const target = new URL(url);
  return async () => {
    const answer = await egress({
      method: 'GET',
      url: target,
      headers: { accept: 'application/jwk-set+json, application/json' },
      signal: AbortSignal.timeout(loadMsMax),
      timeouts: {
        connectMs: loadMsMax,
        firstByteMs: loadMsMax,
        idleMs: loadMsMax,
        totalMs: loadMsMax,
      },
      permission: { internal: true },
    });
    if (!answer.ok) return answer;
    if (answer.value.status !== 200) {
      answer.value.cancel();
      return refuse(
        'upstream_error',
        `${target.host} answered ${answer.value.status} instead of its keys`,
      );
    }
    return answer.value.readAll(keySetBytesMax);
  };
}

/** A key set (JWK set or one PEM key) in a file; read again like a published one, so that it can be replaced. */
export function keySetFromFile(path: string): LoadKeySet {
  return async (): Promise<Result<Uint8Array, Refusal>> => {
    try {
      const file = await open(path, 'r');
      try {
        return ok(await readBounded(file));
      } finally {
        await file.close();
      }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
      return refuse('state_unavailable', `the file with its keys cannot be read (${code})`);
    }
  };
}

/** One byte more than a set may have, so that a longer file is seen to be longer. */
async function readBounded(file: FileHandle): Promise<Uint8Array> {
  const buffer = new Uint8Array(keySetBytesMax + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}
