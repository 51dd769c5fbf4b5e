import type { Refusal } from '@postern/core/errors';
import { errorRow } from '@postern/core/errors';

/** Of every answer: nothing of this API may be kept or guessed at. */
export const commonHeaders: Readonly<Record<string, string>> = Object.freeze({
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
});

export interface Envelope {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A refusal as this API says it: `{"error":{"code","message","fix","request_id"}}`. */
export function envelopeOf(refusal: Refusal, requestId: string): Envelope {
  const row = errorRow(refusal.code);
  const error = {
    code: refusal.code,
    message: refusal.message,
    fix: row.fix,
    ...(refusal.param === undefined ? {} : { param: refusal.param }),
    request_id: requestId,
  };
  const seconds = Math.ceil((refusal.retryAfterMs ?? 1_000) / 1_000);
  return {
    status: row.status,
    headers: {
      ...commonHeaders,
      'content-type': 'application/json',
      'x-request-id': requestId,
      ...(row.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
      ...(row.status === 429 || row.status === 503 ? { 'retry-after': String(seconds) } : {}),
    },
    body: `${JSON.stringify({ error })}\n`,
  };
}
