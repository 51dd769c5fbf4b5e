import { err, ok } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import { finding } from '@postern/core/attest';
import type { Finding } from '@postern/core/attest';
import type { Egress, OutboundTimeouts } from '../../http/index.ts';

const baseUrl = 'https://kdsintf.amd.com/';

/** The service makes chip certificates on demand, which takes seconds. */
const timeouts: OutboundTimeouts = {
  connectMs: 5_000,
  firstByteMs: 15_000,
  idleMs: 10_000,
  totalMs: 30_000,
};

const statusFound = 200;

/** Asks AMD for one file. Nothing of it is believed: the caller verifies it. */
export async function fetchFile(
  { path, bytesMax }: { readonly path: string; readonly bytesMax: number },
  egress: Egress,
): Promise<Result<Uint8Array, Finding>> {
  const url = new URL(path, baseUrl);
  const answer = await egress({
    method: 'GET',
    url,
    headers: { accept: '*/*' },
    signal: AbortSignal.timeout(timeouts.totalMs),
    timeouts,
    permission: { internal: false },
  });
  if (!answer.ok) return missing(url, answer.error.message);
  if (answer.value.status !== statusFound) {
    answer.value.cancel();
    return missing(url, `answered ${answer.value.status}`);
  }
  const body = await answer.value.readAll(bytesMax);
  return body.ok ? ok(body.value) : missing(url, body.error.message);
}

function missing(url: URL, why: string): Result<never, Finding> {
  return err(finding('collateral_missing', `${url.host}${url.pathname}: ${why}`));
}
