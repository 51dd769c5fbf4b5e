import { isJsonObject, jsonValueOf } from '../base/index.ts';
import type { JsonObject, JsonValue } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import { refusal } from '../errors/index.ts';
import { raiseRefusal } from './attempt.ts';
import type { UpstreamErrorHeaders } from './dialect.ts';

/**
 * Errors of upstreams, as refusals. OpenAI, Anthropic and the servers that copy them differ in the envelope only, so
 * that one reader serves both. Two rules stand over all: an upstream's 401 is never the caller's, and words of an
 * upstream reach the caller only where they are about the caller's own request.
 */

/** What could be read of an error body or an error frame. */
export interface UpstreamWords {
  readonly message: string | undefined;
  readonly type: string | undefined;
  readonly code: string | undefined;
  readonly param: string | undefined;
}

/** A message longer than this says nothing more to anybody. */
const messageCharsMax = 2000;
/** A wait beyond a day is a mistake of the server. */
const retryAfterMsMax = 86_400_000;

export function wordsOfBody(body: string): UpstreamWords {
  return wordsOf(jsonValueOf(body));
}

/** Reads `{error:{…}}`, `{error:"…"}`, `{type:"error",error}`, `{message}`, `{detail}`, `{object:"error",…}`. */
export function wordsOf(value: JsonValue | undefined): UpstreamWords {
  if (!isJsonObject(value)) return noWords;
  const inner = value['error'];
  const source = isJsonObject(inner) ? inner : value;
  const message =
    textAt(source, 'message') ??
    (typeof inner === 'string' ? inner : undefined) ??
    textAt(source, 'detail');
  return {
    message: message === undefined ? undefined : shownMessage(message),
    type: textAt(source, 'type'),
    code: textAt(source, 'code'),
    param: textAt(source, 'param'),
  };
}

const noWords: UpstreamWords = {
  message: undefined,
  type: undefined,
  code: undefined,
  param: undefined,
};

/** An upstream's error answer → refusal, for every dialect whose errors are JSON bodies. */
export function decodeUpstreamError(
  status: number,
  headers: UpstreamErrorHeaders,
  body: string,
): Refusal {
  return refusalOfStatus(status, headers, wordsOfBody(body));
}

export function refusalOfStatus(
  status: number,
  headers: UpstreamErrorHeaders,
  words: UpstreamWords,
): Refusal {
  const detail = {
    upstreamStatus: status,
    ...(words.type === undefined ? {} : { upstreamType: words.type }),
    ...(words.code === undefined ? {} : { upstreamCode: words.code }),
  };
  const retryAfterMs = retryAfterOf(headers.retryAfter);
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (isAccountProblem(status, words)) return credentialRefusal(status, detail);
  switch (status) {
    case 404:
      return notFound(words, detail);
    case 408:
    case 504:
    case 524:
      return refusal('upstream_timeout', `The model server gave up waiting (status ${status}).`, {
        detail,
      });
    case 429:
      return refusal(
        'upstream_rate_limited',
        'The model server limits its callers and takes no more requests now.',
        { ...wait, detail },
      );
    case 503:
    case 529:
      return refusal('upstream_overloaded', 'The model server has no capacity now.', {
        ...wait,
        detail,
      });
    case 400:
    case 413:
    case 422:
      return refusal(
        'upstream_rejected',
        words.message ?? `The model server refused the request with status ${status}.`,
        { status, ...(words.param === undefined ? {} : { param: words.param }), detail },
      );
    default:
      return refusal('upstream_error', `The model server failed with status ${status}.`, {
        ...wait,
        detail,
      });
  }
}

/** An error frame inside a stream → refusal. It has no status; its type says what happened. */
export function refusalOfFrame(value: JsonValue | undefined): Refusal {
  const words = wordsOf(value);
  // Some gateways put the status that they got into the code.
  if (/^[45]\d\d$/.test(words.code ?? '')) return refusalOfCode(Number(words.code), words);
  const kind = `${words.type ?? ''} ${words.code ?? ''}`.toLowerCase();
  const detail = { upstreamType: words.type ?? 'unknown', inStream: true };
  if (/overloaded|service_?unavailable/.test(kind)) {
    return refusal('upstream_overloaded', 'The model server ran out of capacity.', { detail });
  }
  if (/authentication|permission|invalid_api_key|billing|insufficient_quota/.test(kind)) {
    return credentialRefusal(401, detail);
  }
  if (/rate_limit|throttl|too_many/.test(kind)) {
    return refusal('upstream_rate_limited', 'The model server limits its callers.', { detail });
  }
  if (/timeout/.test(kind)) {
    return refusal('upstream_timeout', 'The model server ran out of time.', { detail });
  }
  if (/invalid_request|bad_?request|context_length|validation/.test(kind)) {
    return refusal('upstream_rejected', words.message ?? 'The model server refused the request.', {
      detail,
    });
  }
  return refusal('upstream_error', 'The model server failed in the middle of its answer.', {
    detail,
  });
}

/** The status went out long ago, so only what it means is kept. */
function refusalOfCode(status: number, words: UpstreamWords): Refusal {
  const headers = { retryAfter: undefined, errorType: undefined };
  const { status: _status, ...rest } = refusalOfStatus(status, headers, words);
  return rest;
}

/** An answer of status 200 that is an error all the same. */
export function raiseIfError(body: JsonObject): void {
  const { error } = body;
  const isError = (error !== undefined && error !== null) || body['type'] === 'error';
  if (isError) raiseRefusal(refusalOfFrame(body));
}

/** What breaks the protocol itself. */
export function protocolRefusal(what: string): Refusal {
  return refusal('upstream_error', `The model server broke its own protocol: ${what}.`, {
    detail: { protocol: what },
  });
}

/** The refusal of a stream that ended before its last frame. */
export function truncatedRefusal(): Refusal {
  return refusal('upstream_error', 'The model server closed the stream before its end.', {
    detail: { truncated: true },
  });
}

function isAccountProblem(status: number, words: UpstreamWords): boolean {
  if (status === 401 || status === 402 || status === 403) return true;
  const isQuota = words.code === 'insufficient_quota' || words.type === 'insufficient_quota';
  if (status === 429) return isQuota;
  // Anthropic says this with 400, as if the request were at fault.
  return status === 400 && /credit balance is too low/i.test(words.message ?? '');
}

/** No word of the upstream in it: such messages quote the key. */
function credentialRefusal(status: number, detail: Refusal['detail']): Refusal {
  const message =
    status === 401 || status === 403
      ? `The model server refused the credential of the gateway (status ${status}).`
      : 'The account of the gateway at the model server has no credit left.';
  return refusal('upstream_credential', message, detail === undefined ? {} : { detail });
}

function notFound(words: UpstreamWords, detail: Refusal['detail']): Refusal {
  const said = `${words.code ?? ''} ${words.type ?? ''} ${words.message ?? ''}`;
  const options = detail === undefined ? {} : { detail };
  if (/model/i.test(said)) {
    return refusal('model_not_found', 'The model server does not have this model.', options);
  }
  return refusal(
    'upstream_error',
    'The model server does not know the route of this request (status 404); the operator checks its base URL.',
    options,
  );
}

/** `retry-after` in seconds. Its other form is a date, which only somebody with a clock can use. */
export function retryAfterOf(value: string | undefined): number | undefined {
  if (value === undefined || !/^\d{1,9}(\.\d{1,6})?$/.test(value.trim())) return undefined;
  return Math.min(Math.ceil(Number(value) * 1000), retryAfterMsMax);
}

function textAt(object: JsonObject, name: string): string | undefined {
  const value = object[name];
  if (typeof value === 'string' && value !== '') return value;
  return typeof value === 'number' ? String(value) : undefined;
}

/** One printable piece of text: an upstream must not write escape sequences to anybody's terminal. */
function shownMessage(text: string): string {
  const plain = text.replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ').trim();
  return plain.length > messageCharsMax ? `${plain.slice(0, messageCharsMax)}…` : plain;
}
