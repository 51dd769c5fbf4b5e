import type { JsonObject } from '../../base/index.ts';
import { encodeSse } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { errorRow } from '../../errors/index.ts';
import type { WireAnswer } from '../dialect.ts';
import { wireAnswer } from '../wire-answer.ts';

/** Anthropic's error envelope. */
export function encodeErrorBody(refusal: Refusal, requestId: string): JsonObject {
  const { anthropicType } = errorRow(refusal.code);
  // The status is what the type follows where the upstream's own is passed on.
  const type = refusal.status === 413 ? 'request_too_large' : anthropicType;
  return {
    type: 'error',
    error: { type, message: refusal.message },
    request_id: requestId,
  };
}

export function encodeRefusal(refusal: Refusal, requestId: string): WireAnswer {
  return wireAnswer(refusal, requestId, encodeErrorBody(refusal, requestId));
}

/** An error event, which client libraries throw. Neither `message_delta` nor `message_stop` follows it. */
export function encodeStreamRefusal(refusal: Refusal, requestId: string): Uint8Array {
  return encodeSse({ event: 'error', data: JSON.stringify(encodeErrorBody(refusal, requestId)) });
}
