import type { JsonObject } from '../base/index.ts';
import { utf8 } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import { errorRow } from '../errors/index.ts';
import type { WireAnswer } from './dialect.ts';

/** What every dialect's refusal has in common: status and headers. */

/** Client libraries wait as long as they are told up to this; beyond it they guess, and trying again is a waste. */
const clientWaitMsMax = 60_000;

/** Headers that client libraries read. Both spellings of the request id: which one is read differs by library. */
export function errorHeaders(
  refusal: Refusal,
  requestId: string,
): Readonly<Record<string, string>> {
  const { retryAfterMs } = refusal;
  const isWorthwhile =
    errorRow(refusal.code).retry === 'yes' && (retryAfterMs ?? 0) <= clientWaitMsMax;
  return {
    'x-request-id': requestId,
    'request-id': requestId,
    'x-should-retry': isWorthwhile ? 'true' : 'false',
    ...(retryAfterMs === undefined
      ? {}
      : {
          'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))),
          'retry-after-ms': String(Math.max(0, Math.ceil(retryAfterMs))),
        }),
  };
}

export function wireAnswer(refusal: Refusal, requestId: string, body: JsonObject): WireAnswer {
  const row = errorRow(refusal.code);
  return {
    // A code that never reaches a client has status 0; if it does, that is our defect.
    status: refusal.status ?? (row.status === 0 ? 500 : row.status),
    headers: errorHeaders(refusal, requestId),
    contentType: 'application/json',
    body: utf8(JSON.stringify(body)),
  };
}
