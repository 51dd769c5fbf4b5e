import type { JsonObject, Result } from '@postern/core/base';
import { err, isJsonObject, ok, readJson } from '@postern/core/base';
import type { Dialect } from '@postern/core/dialect';
import { estimateInputTokens } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { formatHeadersOf } from './dispatch.ts';
import { gatewayLimits } from './limits.ts';
import { openPurse } from './pay.ts';
import type { PipelineOptions, Step } from './pipeline.ts';
import { readUpstreamError } from './upstream-error.ts';
import { admission } from './pipeline.ts';
import type { Admitted, Attempt } from './stages.ts';

const upstreamPath = '/v1/messages/count_tokens';

/**
 * `POST /v1/messages/count_tokens`: exact where the provider counts itself, else an estimate from the text. The same
 * admission as for the message itself, because a count tells what a model exists for the caller.
 */
export function countTokensStep(options: PipelineOptions, dialect: Dialect): Step {
  return async (stage, account) => {
    const catalog = options.catalog();
    const admitted = await admission(stage, account, { dialect, catalog });
    if (!admitted.ok) return admitted;
    // It costs nothing, but whoever asks without end is held to a number of requests like anybody else.
    const limited = await openPurse(admitted.value, account, 'request');
    if (!limited.ok) return limited;
    const { reply } = limited.value;
    const counter = counterOf(admitted.value);
    if (counter !== undefined) account.attempted(counter, 1);
    const counted =
      counter === undefined
        ? ok({ input_tokens: estimateInputTokens(admitted.value.conversation) })
        : await countUpstream(admitted.value, counter, options.clock.nowMs());
    if (!counted.ok) return counted;
    const json = { 'content-type': 'application/json' };
    reply.send(200, json, JSON.stringify(counted.value));
    return ok(undefined);
  };
}

/** Only the first target counts: another model's tokens are others. */
function counterOf(stage: Admitted): Attempt | undefined {
  const [target] = stage.targets;
  const provider = target === undefined ? undefined : stage.view.providers.get(target.provider);
  if (target === undefined || provider?.countsTokens !== true) return undefined;
  const [endpoint] = stage.view.fleet.endpointsOf(provider);
  return endpoint === undefined
    ? undefined
    : { target, provider, endpoint, dialect: stage.dialect };
}

async function countUpstream(
  stage: Admitted,
  { target, provider, dialect, endpoint }: Attempt,
  nowMs: number,
): Promise<Result<JsonObject, Refusal>> {
  const body = dialect.patchRequest(stage.text, {
    model: target.model,
    maxOutputTokens: undefined,
  });
  if (!body.ok) return body;
  const called = await provider.call({
    dialect,
    path: upstreamPath,
    body: body.value,
    headers: formatHeadersOf(dialect, stage.request),
    signal: stage.request.signal,
    endpoint,
  });
  if (!called.ok) return called;
  if (called.value.status !== 200)
    return err(await readUpstreamError(dialect, called.value, nowMs));
  const bytes = await called.value.readAll(gatewayLimits.upstreamErrorBytesMax);
  return bytes.ok ? readCount(bytes.value) : bytes;
}

function readCount(bytes: Uint8Array): Result<JsonObject, Refusal> {
  const parsed = readJson(bytes);
  if (parsed.ok && isJsonObject(parsed.value) && typeof parsed.value['input_tokens'] === 'number') {
    return ok(parsed.value);
  }
  return refuse('upstream_error', 'The model server answered something that is not a token count.');
}
