import type { JsonObject, Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Catalog, Target } from '@postern/core/routing';
import { listedNames } from '@postern/core/routing';
import { freshCatalog, isAttestedName, refuseModel } from './admit.ts';
import type { TargetState } from './fleet/index.ts';
import { bestState } from './fleet/index.ts';
import type { PipelineOptions, Step } from './pipeline.ts';
import type { GatewayView } from './view.ts';
import type { Identified } from './stages.ts';

interface ListedModel {
  readonly name: string;
  readonly owner: string;
  readonly created: number | undefined;
  readonly state: TargetState;
}

/** Exactly what this caller may call: aliases and `provider/model`, never bare names. */
function visibleModels(stage: Identified, catalog: Catalog): readonly ListedModel[] {
  const { view, caller } = stage;
  return listedNames(catalog)
    .filter(({ name }) => view.access.mayUse(caller, name, isAttestedName(view, catalog, name)))
    .map((listed) => ({ ...listed, state: stateOf(view, listed.targets) }));
}

/** An alias is as ready as the best of its targets. */
function stateOf({ fleet, providers }: GatewayView, targets: readonly Target[]): TargetState {
  return bestState(
    targets.flatMap(({ provider: id, model }) => {
      const provider = providers.get(id);
      return provider === undefined ? [] : [fleet.stateOf(provider, model)];
    }),
  );
}

const pageMax = 1_000;

interface Page {
  readonly items: readonly ListedModel[];
  readonly hasMore: boolean;
}

/** The Messages API pages its list with `limit`, `after_id` and `before_id`. */
function pageOf(models: readonly ListedModel[], query: string): Result<Page, Refusal> {
  const params = new URLSearchParams(query);
  const asked = params.get('limit') ?? String(pageMax);
  const limit = /^\d{1,4}$/.test(asked) ? Number(asked) : 0;
  if (limit < 1 || limit > pageMax) {
    return refuse('invalid_request', `limit must be a whole number from 1 to ${pageMax}.`, {
      param: 'limit',
    });
  }
  const after = params.get('after_id');
  const before = params.get('before_id');
  if (before !== null) {
    const end = models.findIndex((model) => model.name === before);
    if (end < 0)
      return refuse('invalid_request', `There is no model "${before}".`, { param: 'before_id' });
    const start = Math.max(0, end - limit);
    return ok({ items: models.slice(start, end), hasMore: start > 0 });
  }
  const start = after === null ? 0 : models.findIndex((model) => model.name === after) + 1;
  if (after !== null && start === 0)
    return refuse('invalid_request', `There is no model "${after}".`, { param: 'after_id' });
  return ok({ items: models.slice(start, start + limit), hasMore: start + limit < models.length });
}

/** `state` is ours; clients of either API pass over fields that they do not know. */
function openaiModel({ name, owner, created, state }: ListedModel): JsonObject {
  return { id: name, object: 'model', created: created ?? 0, owned_by: owner, state };
}

function anthropicModel({ name, created, state }: ListedModel): JsonObject {
  const createdAt = new Date((created ?? 0) * 1_000).toISOString();
  return { type: 'model', id: name, display_name: name, created_at: createdAt, state };
}

const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' } as const;

/** `GET /v1/models` and `GET /v1/models/{id}`, in the shape of whichever API the client speaks. */
export function modelsStep(
  options: PipelineOptions,
  asked: { readonly id: string | undefined; readonly isAnthropic: boolean },
): Step {
  const { id, isAnthropic } = asked;
  return async (stage) => {
    const answer = (body: JsonObject): Result<unknown, Refusal> => {
      stage.reply.send(200, headers, JSON.stringify(body));
      return ok(undefined);
    };
    if (id !== undefined) {
      const catalog = await freshCatalog(stage, options.catalog(), id);
      const model = visibleModels(stage, catalog).find(({ name }) => name === id);
      if (model === undefined) return refuseModel(id);
      return answer(isAnthropic ? anthropicModel(model) : openaiModel(model));
    }
    const models = visibleModels(stage, stage.view.catalog);
    if (!isAnthropic) return answer({ object: 'list', data: models.map(openaiModel) });
    const page = pageOf(models, stage.request.query);
    if (!page.ok) return page;
    const { items, hasMore } = page.value;
    return answer({
      data: items.map(anthropicModel),
      has_more: hasMore,
      first_id: items[0]?.name ?? null,
      last_id: items.at(-1)?.name ?? null,
    });
  };
}
