import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { isJsonObject, ok, readJson } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { ModelInfo } from '@postern/core/routing';
import { gatewayLimits } from '../../gateway/index.ts';
import type { OutboundAnswer } from '../../http/index.ts';

/** What an account can call: models on demand, and inference profiles. */

export type Get = (pathAndQuery: string) => Promise<Result<OutboundAnswer, Refusal>>;

/** Pages of the list of profiles; a server that says "more" for ever is cut off here. */
const pagesMax = 20;
const pageSize = 1_000;

/**
 * Asks for both lists. One that the role may not read is left out; where it may read neither, the operator learns
 * which permission is missing.
 */
export async function listModels(
  id: string,
  get: Get,
): Promise<Result<readonly ModelInfo[], Refusal>> {
  const [models, profiles] = await Promise.all([foundationModels(id, get), profileIds(id, get)]);
  if (!models.ok && !profiles.ok) return models;
  const ids = new Set([...(models.ok ? models.value : []), ...(profiles.ok ? profiles.value : [])]);
  return ok([...ids].slice(0, gatewayLimits.modelsPerProviderMax).map((each) => ({ id: each })));
}

async function foundationModels(id: string, get: Get): Promise<Result<readonly string[], Refusal>> {
  const page = await readPage(id, await get('/foundation-models?byOutputModality=TEXT'));
  if (!page.ok) return page;
  return ok(
    objectsIn(page.value['modelSummaries']).flatMap((model) => {
      // Others are called by a profile only, or by hardware that the account bought.
      const onDemand = textsIn(model['inferenceTypesSupported']).includes('ON_DEMAND');
      const { modelId } = model;
      return onDemand && typeof modelId === 'string' && modelId !== '' ? [modelId] : [];
    }),
  );
}

/** Profiles of Amazon's own have names; those of the account are called by their ARN. */
async function profileIds(id: string, get: Get): Promise<Result<readonly string[], Refusal>> {
  const ids: string[] = [];
  let next: string | undefined = '';
  for (let page = 0; page < pagesMax && next !== undefined; page += 1) {
    const token = next === '' ? '' : `&nextToken=${encodeURIComponent(next)}`;
    // oxlint-disable-next-line no-await-in-loop -- each page names the one after it
    const body = await readPage(
      id,
      await get(`/inference-profiles?maxResults=${pageSize}${token}`),
    );
    if (!body.ok) return page === 0 ? body : ok(ids);
    for (const profile of objectsIn(body.value['inferenceProfileSummaries'])) {
      const name =
        profile['type'] === 'APPLICATION'
          ? profile['inferenceProfileArn']
          : profile['inferenceProfileId'];
      if (typeof name === 'string' && name !== '') ids.push(name);
    }
    const { nextToken } = body.value;
    next = typeof nextToken === 'string' && nextToken !== '' ? nextToken : undefined;
  }
  return ok(ids);
}

async function readPage(
  id: string,
  got: Result<OutboundAnswer, Refusal>,
): Promise<Result<JsonObject, Refusal>> {
  if (!got.ok) return got;
  const answer = got.value;
  if (answer.status !== 200) {
    answer.cancel();
    return answer.status === 401 || answer.status === 403
      ? refuse(
          'upstream_credential',
          `Provider "${id}" does not let the role of the gateway list models (status ${answer.status}); allow bedrock:ListFoundationModels and bedrock:ListInferenceProfiles, or name the models in the configuration.`,
        )
      : refuse(
          'upstream_error',
          `Provider "${id}" does not list its models (status ${answer.status}).`,
        );
  }
  const bytes = await answer.readAll(gatewayLimits.modelListBytesMax);
  if (!bytes.ok) return bytes;
  const parsed = readJson(bytes.value);
  return parsed.ok && isJsonObject(parsed.value)
    ? ok(parsed.value)
    : refuse('upstream_error', `Provider "${id}" lists its models in something that is no list.`);
}

function listIn(value: JsonValue | undefined): readonly JsonValue[] {
  // Array.isArray leaves `any[]` of what is JSON.
  return Array.isArray(value) ? (value as readonly JsonValue[]) : [];
}

function objectsIn(value: JsonValue | undefined): readonly JsonObject[] {
  return listIn(value).filter((each) => isJsonObject(each));
}

function textsIn(value: JsonValue | undefined): readonly string[] {
  return listIn(value).filter((each) => typeof each === 'string');
}
