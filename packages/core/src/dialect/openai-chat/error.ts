import type { JsonObject } from '../../base/index.ts';
import { encodeSse, utf8 } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { errorRow } from '../../errors/index.ts';
import type { UpstreamErrorHeaders, WireAnswer } from '../dialect.ts';
import { refusalOfStatus, wordsOfBody } from '../upstream-error.ts';

/** The error envelope of OpenAI, which all of its routes and `/ask` share. */

/** Codes that client libraries act on; they pass on where the upstream's own words do. */
const passedCodes: ReadonlySet<string> = new Set([
  'context_length_exceeded',
  'content_policy_violation',
  'string_above_max_length',
]);

export function encodeErrorBody(refusal: Refusal): JsonObject {
  const row = errorRow(refusal.code);
  const upstreamCode = refusal.detail?.['upstreamCode'];
  const isPassed =
    refusal.code === 'upstream_rejected' &&
    typeof upstreamCode === 'string' &&
    passedCodes.has(upstreamCode);
  return {
    error: {
      message: refusal.message,
      type: row.openaiType,
      param: refusal.param ?? null,
      code: isPassed ? upstreamCode : row.openaiCode,
    },
  };
}

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

export function encodeRefusal(refusal: Refusal, requestId: string): WireAnswer {
  return wireAnswer(refusal, requestId, encodeErrorBody(refusal));
}

/** A data frame with an `error` member makes client libraries throw. No `[DONE]` follows it. */
export function encodeStreamRefusal(refusal: Refusal): Uint8Array {
  return encodeSse({ data: JSON.stringify(encodeErrorBody(refusal)) });
}

export function decodeUpstreamError(
  status: number,
  headers: UpstreamErrorHeaders,
  body: string,
): Refusal {
  return refusalOfStatus(status, headers, wordsOfBody(body));
}
