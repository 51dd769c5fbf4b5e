import type { Dialect } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import { parseRetryAfter } from '@postern/core/routing';
import type { OutboundAnswer } from '../http/index.ts';
import { gatewayLimits } from './limits.ts';

/** An upstream's error answer as a refusal; what it says is read up to a bound and never trusted to be JSON. */
export async function readUpstreamError(
  dialect: Dialect,
  answer: OutboundAnswer,
  nowMs: number,
): Promise<Refusal> {
  if (answer.status < 400) {
    answer.cancel();
    return refusal(
      'upstream_error',
      `The model server answered with status ${answer.status}, which is no answer; redirects are not followed.`,
      { detail: { upstreamStatus: answer.status } },
    );
  }
  const body = await answer.readAll(gatewayLimits.upstreamErrorBytesMax);
  const text = body.ok ? new TextDecoder().decode(body.value) : '';
  // Dialects have no clock: a date becomes seconds here.
  const waitMs = parseRetryAfter(answer.headers['retry-after'], nowMs);
  const retryAfter = waitMs === undefined ? undefined : String(waitMs / 1_000);
  const error = dialect.decodeUpstreamError(
    answer.status,
    { retryAfter, errorType: answer.headers['x-amzn-errortype'] },
    text,
  );
  return { ...error, detail: { ...error.detail, upstreamStatus: answer.status } };
}
