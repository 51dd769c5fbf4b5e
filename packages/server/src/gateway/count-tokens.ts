import type { JsonObject } from '@postern/core/base';
import { isJsonObject, ok, readJson } from '@postern/core/base';
import { dialectNamed, estimateInputTokens } from '@postern/core/dialect';
import { refuse } from '@postern/core/errors';
import { admit } from './admit.ts';
import { decode } from './decode.ts';
import { readUpstreamError } from './dispatch.ts';
import { gatewayLimits } from './limits.ts';
import type { PipelineOptions, Step } from './pipeline.ts';
import type { Admitted } from './stages.ts';

/**
 * `POST /v1/messages/count_tokens`: exact where the provider counts itself, else an estimate from the text. The same
 * admission as for the message itself, because a count tells what a model exists for the caller.
 */
export function countTokensStep(options: PipelineOptions): Step {
  const dialect = dialectNamed('anthropic-messages');
  return async (stage, account) => {
    const decoded = await decode(stage, dialect);
    if (!decoded.ok) return decoded;
    account.decoded(decoded.value);
    const admitted = await admit(decoded.value, options.catalog());
    if (!admitted.ok) return admitted;
    account.admitted(admitted.value);
    const counted = await countUpstream(admitted.value);
    if (counted !== undefined) {
      if (!counted.ok) return counted;
      return answer(admitted.value, counted.value);
    }
    return answer(admitted.value, {
      input_tokens: estimateInputTokens(decoded.value.conversation),
    });
  };
}

function answer(stage: Admitted, body: JsonObject) {
  stage.reply.send(200, { 'content-type': 'application/json' }, JSON.stringify(body));
  return ok(undefined);
}

/** Undefined where no target counts by itself. */
async function countUpstream(stage: Admitted) {
  const target = stage.targets[0];
  const provider = target === undefined ? undefined : stage.view.providers.get(target.provider);
  if (target === undefined || provider?.countsTokens !== true) return undefined;
  const body = stage.dialect.patchRequest(stage.document.text, {
    model: target.model,
    maxOutputTokens: undefined,
  });
  if (!body.ok) return body;
  const version = stage.request.headers.get('anthropic-version');
  const beta = stage.request.headers.get('anthropic-beta');
  const called = await provider.call({
    dialect: stage.dialect,
    path: '/v1/messages/count_tokens',
    body: body.value,
    headers: {
      ...(version === undefined ? {} : { 'anthropic-version': version }),
      ...(beta === undefined ? {} : { 'anthropic-beta': beta }),
    },
    signal: stage.request.signal,
  });
  if (!called.ok) return called;
  if (called.value.status !== 200) return readUpstreamError(stage.dialect, called.value);
  const bytes = await called.value.readAll(gatewayLimits.upstreamErrorBytesMax);
  if (!bytes.ok) return bytes;
  const parsed = readJson(bytes.value);
  if (
    !parsed.ok ||
    !isJsonObject(parsed.value) ||
    typeof parsed.value['input_tokens'] !== 'number'
  ) {
    return refuse(
      'upstream_error',
      'The model server answered something that is not a token count.',
    );
  }
  return ok(parsed.value);
}
