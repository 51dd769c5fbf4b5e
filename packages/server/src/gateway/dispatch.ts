import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
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
  'overloaded',
  'model_not_found',
]);

/** What servers say of a route that they, or the model behind it, do not have. */
const routeMissing: ReadonlySet<unknown> = new Set([404, 405, 501]);

/**
 * Sends the request to the attempts in order until one answers with success. Nothing was sent to the caller yet, so
 * any of them may still be the one. A refusal that is about the request itself ends it.
 */
export async function dispatch(stage: Routed): Promise<Result<Dispatched, DispatchFailure>> {
  let tries = 0;
  let failed: { readonly attempt: Attempt; readonly refusal: Refusal } | undefined;
  let unsayable: Refusal | undefined;
  for (const attempt of stage.attempts) {
    if (stage.request.signal.aborted) break;
    if (failed !== undefined && !mayFollow(failed, attempt)) continue;
    const body = encodeBody(stage, attempt);
    if (!body.ok) {
      // What this format cannot say, the next target's format may.
      unsayable ??= body.error;
      continue;
    }
    tries += 1;
    // oxlint-disable-next-line no-await-in-loop -- one attempt after the other is the point
    const sent = await send(stage, attempt, body.value);
    if (sent.ok) return ok({ ...stage, attempt, answer: sent.value, tries });
    failed = { attempt, refusal: sent.error };
  }
  return err({
    refusal:
      failed?.refusal ??
      unsayable ??
      refusal('upstream_unavailable', 'The request ended before any model was asked.'),
    tries,
    attempt: failed?.attempt,
  });
}

/** A target is tried in another format only where the server says that the model does not speak this one. */
function mayFollow(
  failed: { readonly attempt: Attempt; readonly refusal: Refusal },
  next: Attempt,
): boolean {
  const { code, detail } = failed.refusal;
  if (failed.attempt.target !== next.target) return worthAnotherTarget.has(code);
  return code === 'upstream_rejected' || routeMissing.has(detail?.['upstreamStatus']);
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
    headers:
      dialect === stage.dialect
        ? formatHeadersOf(dialect, stage.request)
        : (dialect.encodeHeaders?.(stage.conversation) ?? {}),
    signal: stage.request.signal,
  });
  if (!called.ok) return called;
  const answer = called.value;
  if (answer.status >= 200 && answer.status < 300) return ok(answer);
  return readUpstreamError(dialect, answer);
}

/** Only what the format itself defines, and only to a provider of that format. Nothing else a caller sends goes on. */
export function formatHeadersOf(dialect: Dialect, request: HttpRequest): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of dialect.requestHeaders ?? []) {
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
      { detail: { upstreamStatus: answer.status } },
    );
  }
  const body = await answer.readAll(gatewayLimits.upstreamErrorBytesMax);
  const text = body.ok ? new TextDecoder().decode(body.value) : '';
  const error = dialect.decodeUpstreamError(
    answer.status,
    { retryAfter: answer.headers['retry-after'], errorType: answer.headers['x-amzn-errortype'] },
    text,
  );
  return err({ ...error, detail: { ...error.detail, upstreamStatus: answer.status } });
}
