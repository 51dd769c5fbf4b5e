import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Catalog } from '@postern/core/routing';
import { resolveModel } from '@postern/core/routing';
import type { ModelCatalog } from './catalog.ts';
import type { AccessDecision } from './ports.ts';
import type { Admitted, Decoded, Identified } from './stages.ts';

/** What a request may write where neither the caller, the rule nor the model says: 4,096 tokens. */
const outputTokensDefault = 4_096;

/**
 * Decides whether this caller may have this model, before anything is sent anywhere. An unknown model and one that
 * the caller may not use give the same answer: lists and errors tell nobody what exists for others.
 */
export async function admit(
  stage: Decoded,
  catalog: ModelCatalog,
): Promise<Result<Admitted, Refusal>> {
  const asked = stage.conversation.model;
  const resolution = resolveModel(await freshCatalog(stage, catalog, asked), asked);
  const name = resolution.kind === 'found' ? resolution.name : resolution.asked;
  const decision = stage.view.access.decide({
    caller: stage.caller,
    model: name,
    dialect: stage.dialect.name,
    maxOutputTokens: stage.conversation.maxOutputTokens,
  });
  if (!decision.allowed) return refuseDecision(decision, asked ?? name);
  if (resolution.kind === 'unknown') return refuseModel(asked ?? name);
  const modelCap = resolution.targets[0]?.maxOutputTokens;
  return ok({
    ...stage,
    targets: resolution.targets,
    permit: {
      decisionId: decision.id,
      rule: decision.rule,
      model: name,
      maxOutputTokens: decision.maxOutputTokens ?? modelCap ?? outputTokensDefault,
    },
  });
}

/**
 * A name that nobody lists makes the providers that may have it list again, at most every few seconds. Only where the
 * caller could use what it would find: a wait would tell the others apart what exists and what does not.
 */
export async function freshCatalog(
  stage: Identified,
  catalog: ModelCatalog,
  asked: string | undefined,
): Promise<Catalog> {
  const { view, caller, request } = stage;
  const found = resolveModel(view.catalog, asked);
  if (found.kind === 'found') return view.catalog;
  const usable = found.relist.filter((provider) =>
    view.access.mayUse(caller, qualified(provider, found.asked)),
  );
  return usable.length === 0 ? view.catalog : catalog.relist(usable, request.signal);
}

function qualified(provider: string, name: string): string {
  return name.startsWith(`${provider}/`) ? name : `${provider}/${name}`;
}

export function refuseModel(name: string): Result<never, Refusal> {
  return refuse(
    'model_not_found',
    `There is no model "${name}" that you may use. List yours with GET /v1/models.`,
    { param: 'model' },
  );
}

function refuseDecision(
  decision: AccessDecision & { allowed: false },
  name: string,
): Result<never, Refusal> {
  switch (decision.why) {
    case 'nothing':
      return refuse(
        'access_denied',
        'You are known here, but nothing grants you any model. Ask the operator for access.',
        { detail: { decision: decision.id } },
      );
    case 'output-limit':
      return refuse(
        'output_limit_exceeded',
        'You ask for more output tokens than any rule allows you.',
        { param: 'max_tokens', detail: { decision: decision.id } },
      );
    case 'model':
      return refuseModel(name);
  }
}
