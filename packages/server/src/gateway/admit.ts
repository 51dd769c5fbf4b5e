import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { Resolution } from '@postern/core/routing';
import { resolveModel } from '@postern/core/routing';
import type { ModelCatalog } from './catalog.ts';
import type { AccessDecision } from './ports.ts';
import type { Admitted, Decoded } from './stages.ts';

/** What a request may write where neither the caller, the rule nor the model says: 4,096 tokens (design §9). */
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
  const resolution = await resolveFresh(stage, catalog, asked);
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

/** A name that nobody lists makes the providers that may have it list again, at most every few seconds. */
async function resolveFresh(
  stage: Decoded,
  catalog: ModelCatalog,
  asked: string | undefined,
): Promise<Resolution> {
  const first = resolveModel(stage.view.catalog, asked);
  if (first.kind === 'found' || first.relist.length === 0) return first;
  const fresh = await catalog.relist(first.relist, stage.request.signal);
  return resolveModel(fresh, asked);
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
      return {
        ok: false,
        error: refusal(
          'output_limit_exceeded',
          'You ask for more output tokens than any rule allows you.',
          {
            param: 'max_tokens',
            detail: { decision: decision.id },
          },
        ),
      };
    case 'model':
      return refuseModel(name);
  }
}
