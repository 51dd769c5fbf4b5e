import { jsonObjectOf } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { errorRow, refusal as makeRefusal } from '../../errors/index.ts';
import type { UpstreamErrorHeaders, WireAnswer } from '../dialect.ts';
import { refusalOfStatus, wordsOfBody } from '../upstream-error.ts';
import { wireAnswer } from '../wire-answer.ts';
import { exceptionFrame } from './frames.ts';

/** Errors of Bedrock: the type stands in the header `x-amzn-ErrorType`, the words in the body `{"message"}`. */

export function encodeRefusal(refusal: Refusal, requestId: string): WireAnswer {
  const wire = wireAnswer(refusal, requestId, { message: refusal.message });
  return {
    ...wire,
    headers: {
      ...wire.headers,
      'x-amzn-errortype': errorType(refusal, wire.status),
      'x-amzn-requestid': requestId,
    },
  };
}

/** Client libraries make the class of their error from this name. */
function errorType(refusal: Refusal, status: number): string {
  // Both are 429; only one of them passes by itself.
  const isOver = status === 429 && errorRow(refusal.code).retry === 'no';
  if (isOver) return 'ServiceQuotaExceededException';
  switch (status) {
    case 401:
    case 403:
      return 'AccessDeniedException';
    case 404:
      return 'ResourceNotFoundException';
    case 409:
      return 'ConflictException';
    case 429:
      return 'ThrottlingException';
    case 503:
      return 'ServiceUnavailableException';
    case 504:
      return 'ModelTimeoutException';
    default:
      return status < 500 ? 'ValidationException' : 'InternalServerException';
  }
}

/** An exception message, which client libraries throw. Nothing that ends an answer follows it. */
export function encodeStreamRefusal(refusal: Refusal): Uint8Array {
  return exceptionFrame(exceptionType(refusal), refusal.message);
}

/** The members that both streams of Bedrock have for exceptions. */
function exceptionType(refusal: Refusal): string {
  const { status } = errorRow(refusal.code);
  if (status === 429) return 'throttlingException';
  if (status === 503) return 'serviceUnavailableException';
  if (status >= 400 && status < 500) return 'validationException';
  if (refusal.code.startsWith('upstream_')) return 'modelStreamErrorException';
  return 'internalServerException';
}

/** What the types of Amazon's errors mean, where the status does not say it or says it otherwise. */
const statusOfType: Readonly<Record<string, number>> = {
  AccessDeniedException: 403,
  ExpiredTokenException: 401,
  IncompleteSignatureException: 401,
  InvalidSignatureException: 401,
  MissingAuthenticationTokenException: 401,
  UnrecognizedClientException: 401,
  ModelErrorException: 500,
  ModelNotReadyException: 503,
  ModelTimeoutException: 504,
  InternalServerException: 500,
  ResourceNotFoundException: 404,
  ServiceQuotaExceededException: 429,
  ServiceUnavailableException: 503,
  ThrottlingException: 429,
  TooManyRequestsException: 429,
};

/** An error answer of Bedrock → refusal. */
export function decodeUpstreamError(
  status: number,
  headers: UpstreamErrorHeaders,
  body: string,
): Refusal {
  const object = jsonObjectOf(body);
  const inBody = object?.['__type'];
  const type = typeName(headers.errorType ?? (typeof inBody === 'string' ? inBody : ''));
  const said = wordsOfBody(body);
  const shouted = object?.['Message'];
  const message =
    said.message ??
    (typeof shouted === 'string'
      ? wordsOfBody(JSON.stringify({ message: shouted })).message
      : undefined);
  const words = { ...said, message, ...(type === '' ? {} : { type }) };
  const meant = Object.hasOwn(statusOfType, type) ? (statusOfType[type] ?? status) : status;
  const found = refusalOfStatus(meant, headers, words);
  // Amazon says this of an id that it does not know, as if the request were at fault.
  const isModel = meant === 400 && /model identifier is invalid/i.test(message ?? '');
  const refusal = isModel
    ? makeRefusal('model_not_found', 'The model server does not have this model.')
    : found;
  return { ...refusal, detail: { ...found.detail, upstreamStatus: status } };
}

/** `ValidationException:http://internal.amazon.com/…` and `com.amazon.coral#ValidationException` name one type. */
function typeName(text: string): string {
  const name = text.split(':', 1)[0] ?? '';
  return name.slice(name.lastIndexOf('#') + 1).trim();
}
