import type { JsonObject } from '../../base/index.ts';
import { encodeSse } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { errorRow } from '../../errors/index.ts';
import type { WireAnswer } from '../dialect.ts';
import { wireAnswer } from '../wire-answer.ts';

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

export function encodeRefusal(refusal: Refusal, requestId: string): WireAnswer {
  return wireAnswer(refusal, requestId, encodeErrorBody(refusal));
}

/** A data frame with an `error` member makes client libraries throw. No `[DONE]` follows it. */
export function encodeStreamRefusal(refusal: Refusal): Uint8Array {
  return encodeSse({ data: JSON.stringify(encodeErrorBody(refusal)) });
}
