import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Dialect } from '@postern/core/dialect';
import type { ErrorCode, Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { HttpRequest, OutboundAnswer } from '../http/index.ts';
import { gatewayLimits } from './limits.ts';
import type { Attempt, Dispatched, Routed } from './stages.ts';

export interface DispatchFailure {
  readonly refusal: Refusal;
  readonly tries: number;
  readonly attempt: Attempt | undefined;
}

/** Failures of one target that say nothing about the next one. */
const worthAnotherTarget: ReadonlySet<ErrorCode> = new Set([
  'upstream_unavailable',
  'upstream_timeout',
  'upstream_error',
  'upstream_overloaded',
  'upstream_rate_limited',
  'upstream_credential',
  'egress_refused',
]);

/**
 * Sends the request to the attempts in order until one answers with success. Nothing was sent to the caller yet, so
 * any of them may still be the one. A refusal that is about the request itself ends it at once.
 */
export async function dispatch(stage: Routed): Promise<Result<Dispatched, DispatchFailure>> {
  let tries = 0;
  let last: DispatchFailure | undefined;
  for (const [index, attempt] of stage.attempts.entries()) {
    if (stage.request.signal.aborted) break;
    const body = encodeBody(stage, attempt);
    if (!body.ok) {
      // What this format cannot say, the next target's format may: keep the first reason if none can.
      last ??= { refusal: body.error, tries, attempt };
      continue;
    }
    tries += 1;
    const sent = await send(stage, attempt, body.value);
    if (sent.ok) return ok({ ...stage, attempt, answer: sent.value, tries });
    last = { refusal: sent.error, tries, attempt };
    if (!mayContinue(stage.attempts, index, sent.error)) break;
  }
  return {
    ok: false,
    error: last ?? {
      refusal: refusal('upstream_unavailable', 'The request ended before any model was asked.'),
      tries,
      attempt: undefined,
    },
  };
}

/** A target is tried in another format only where the server says that the model does not speak this one. */
function mayContinue(attempts: readonly Attempt[], index: number, failure: Refusal): boolean {
  const next = attempts[index + 1];
  if (next === undefined) return false;
  const isSameTarget = next.target === attempts[index]?.target;
  if (!isSameTarget) return worthAnotherTarget.has(failure.code);
  return (
    failure.code === 'upstream_rejected' ||
    failure.code === 'model_not_found' ||
    failure.status === 404
  );
}

function encodeBody(stage: Routed, attempt: Attempt): Result<string, Refusal> {
  const { conversation, permit } = stage;
  const model = attempt.target.model;
  const maxOutputTokens =
    conversation.maxOutputTokens === undefined ? permit.maxOutputTokens : undefined;
  if (attempt.dialect === stage.dialect) {
    return attempt.dialect.patchRequest(stage.document.text, { model, maxOutputTokens });
  }
  const encoded = attempt.dialect.encodeRequest(conversation, { model, maxOutputTokens });
  return encoded.ok ? ok(JSON.stringify(encoded.value)) : encoded;
}

async function send(
  stage: Routed,
  attempt: Attempt,
  body: string,
): Promise<Result<OutboundAnswer, Refusal>> {
  const { dialect, provider, target } = attempt;
  const called = await provider.call({
    dialect,
    path: dialect.upstreamPath(target.model, stage.conversation.stream),
    body,
    headers: forwardedHeaders(stage.request, attempt.dialect === stage.dialect),
    signal: stage.request.signal,
  });
  if (!called.ok) return called;
  const answer = called.value;
  if (answer.status >= 200 && answer.status < 300) return ok(answer);
  return readUpstreamError(attempt.dialect, answer);
}

/** Only what the format itself defines, and only to a provider of that format. Nothing else a caller sends goes on. */
const formatHeaders = ['anthropic-version', 'anthropic-beta', 'openai-beta'] as const;

function forwardedHeaders(request: HttpRequest, isSameFormat: boolean): Record<string, string> {
  const headers: Record<string, string> = {};
  if (!isSameFormat) return headers;
  for (const name of formatHeaders) {
    const value = request.headers.get(name);
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}

/** An upstream's error answer as a refusal; what it says is read up to a bound and never trusted to be JSON. */
export async function readUpstreamError(
  dialect: Dialect,
  answer: OutboundAnswer,
): Promise<Result<never, Refusal>> {
  if (answer.status < 400) {
    answer.cancel();
    return refuse(
      'upstream_error',
      `The model server answered with status ${answer.status}, which is no answer; redirects are not followed.`,
      {
        detail: { upstreamStatus: answer.status },
      },
    );
  }
  const body = await answer.readAll(gatewayLimits.upstreamErrorBytesMax);
  const text = body.ok ? new TextDecoder().decode(body.value) : '';
  const error = dialect.decodeUpstreamError(
    answer.status,
    { retryAfter: answer.headers['retry-after'], errorType: answer.headers['x-amzn-errortype'] },
    text,
  );
  return {
    ok: false,
    error: { ...error, detail: { ...error.detail, upstreamStatus: answer.status } },
  };
}
