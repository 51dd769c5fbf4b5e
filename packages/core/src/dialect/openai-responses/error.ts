import type { JsonObject, SseFrame } from '../../base/index.ts';
import { concatBytes, encodeSse, isJsonObject, jsonObjectOf } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { raiseRefusal } from '../attempt.ts';
import { encodeErrorBody } from '../openai-chat/error.ts';
import { protocolRefusal, refusalOfFrame } from '../upstream-error.ts';

/** Errors inside a stream. */

/** What of the stream went out before, where it is known. */
export interface FailureContext {
  readonly sequence: number;
  /** The response as far as it came, without its status. */
  readonly response: JsonObject;
}

/**
 * Two events, because clients differ: the official libraries throw at `error`, Codex acts on `response.failed`. None of
 * them takes either for an end.
 */
export function failureFrames(refusal: Refusal, failure: FailureContext): Uint8Array {
  const envelope = encodeErrorBody(refusal)['error'];
  const error = isJsonObject(envelope) ? envelope : {};
  const { message = refusal.message, code = null, type = null, param = null } = error;
  return concatBytes(
    frame('error', failure.sequence, { code, message, param, error }),
    frame('response.failed', failure.sequence + 1, {
      response: {
        ...failure.response,
        status: 'failed',
        error: { code: code ?? type, message },
      },
    }),
  );
}

/** A refusal of which nothing is known but the request: the error event of a stream that was not begun here. */
export function encodeStreamRefusal(refusal: Refusal, requestId: string): Uint8Array {
  const response = { id: `resp_${requestId}`, object: 'response', output: [] };
  return failureFrames(refusal, { sequence: 0, response });
}

export function frame(type: string, sequence: number, members: JsonObject): Uint8Array {
  const data = JSON.stringify({ type, sequence_number: sequence, ...members });
  return encodeSse({ event: type, data });
}

/**
 * The object of a frame's data and its type; `error` and `response.failed` end the surrounding attempt. A response that failed may have
 * cost something: `failed` gets it first.
 */
export function eventOf(
  sse: SseFrame,
  failed?: (response: JsonObject) => void,
): { readonly type: string; readonly event: JsonObject } | undefined {
  const data = sse.data?.trim() ?? '';
  if (data === '' || data === '[DONE]') return undefined;
  const event = jsonObjectOf(data);
  const type = typeof event?.['type'] === 'string' ? event['type'] : (sse.event ?? '');
  if (sse.event === 'error' || type === 'error') return raiseRefusal(refusalOfFrame(event));
  if (event === undefined) {
    return raiseRefusal(protocolRefusal('a frame that is not a JSON object'));
  }
  const { error, response } = event;
  if (type === 'response.failed' && isJsonObject(response)) failed?.(response);
  if (error !== undefined && error !== null) return raiseRefusal(refusalOfFrame(event));
  if (type === 'response.failed') {
    return raiseRefusal(refusalOfFrame(isJsonObject(response) ? response : event));
  }
  return { type, event };
}
