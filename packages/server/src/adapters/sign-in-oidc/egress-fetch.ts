import type { CustomFetch } from 'openid-client';
import type { Egress } from '../../http/index.ts';

/** A discovery document or a key set has some kilobytes. */
const answerBytesMax = 1_048_576;
const timeouts = { connectMs: 5_000, firstByteMs: 10_000, idleMs: 10_000, totalMs: 20_000 };

/** The fetch of openid-client over our own way out. Internal issuers are allowed: the operator named the issuer. */
export function egressFetch(egress: Egress): CustomFetch {
  return async (target, { method, headers, body, signal }) => {
    const isPost = method === 'POST';
    if (!isPost && method !== 'GET') throw new TypeError(`${method} is not used here`);
    const sent = await egress({
      method: isPost ? 'POST' : 'GET',
      url: new URL(target),
      headers,
      signal: signal ?? AbortSignal.timeout(timeouts.totalMs),
      timeouts,
      permission: { internal: true },
      ...(body === null || body === undefined ? {} : { body: textOf(body) }),
    });
    if (!sent.ok) throw new TypeError(sent.error.message);
    const answer = sent.value;
    const read = await answer.readAll(answerBytesMax);
    if (!read.ok) throw new TypeError(read.error.message);
    const hasBody = answer.status !== 204 && answer.status !== 304;
    return new Response(hasBody ? Buffer.from(read.value) : null, {
      status: answer.status,
      headers: answer.headers,
    });
  };
}

function textOf(body: unknown): string {
  if (typeof body === 'string') return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('only forms are sent here');
}
