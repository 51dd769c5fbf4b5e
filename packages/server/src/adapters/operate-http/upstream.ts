import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Result, Secret } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { Egress } from '../../http/index.ts';
import type { Known } from '../../ops/index.ts';

const timeouts = { connectMs: 3_000, firstByteMs: 15_000, idleMs: 5_000, totalMs: 20_000 };

export interface Knock {
  readonly url: URL;
  readonly credential: Secret | undefined;
  /** How the credential is sent. */
  readonly as: 'bearer' | 'x-api-key';
  readonly egress: Egress;
}

/**
 * Status that a GET with this credential gets; err: there is no answer. Asked twice where the first one breaks off: what
 * was cut with a revocation may be the very connection that is kept for such calls.
 */
export async function knock(request: Knock): Promise<Known<number>> {
  const first = await knockOnce(request);
  return first.ok ? first : knockOnce(request);
}

async function knockOnce({ url, credential, as, egress }: Knock): Promise<Known<number>> {
  const text = credential?.reveal();
  const header =
    text === undefined
      ? {}
      : as === 'bearer'
        ? { authorization: `Bearer ${text}` }
        : { 'x-api-key': text, 'anthropic-version': '2023-06-01' };
  const called = await egress({
    method: 'GET',
    url,
    headers: { accept: 'application/json', ...header },
    signal: AbortSignal.timeout(timeouts.totalMs),
    timeouts,
    // An address that the operator wrote, or one of our own listeners.
    permission: { internal: true },
  });
  if (!called.ok) return err(called.error.message);
  called.value.cancel();
  return ok(called.value.status);
}

/** Puts a new secret into the file from which it is read; whole or not at all, for its owner alone. */
export async function keepSecretFile(file: string, next: Secret): Promise<Result<void, string>> {
  try {
    const before = await readFile(file, 'utf8').catch(() => '');
    if (before.trimEnd() === next.reveal()) return ok(undefined);
    const aside = path.join(path.dirname(file), `.${path.basename(file)}.new`);
    await writeFile(aside, `${next.reveal()}\n`, { mode: 0o600 });
    await rename(aside, file);
    return ok(undefined);
  } catch (cause) {
    return err(messageOf(cause));
  }
}
