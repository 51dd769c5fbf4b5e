import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Catalog, Target } from '@postern/core/routing';
import { resolveModel } from '@postern/core/routing';
import type { ModelCatalog } from './catalog.ts';
import type { AccessDecision, GatewayView } from './ports.ts';
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
    attested: resolution.kind === 'found' && areAttested(stage.view, resolution.targets),
  });
  if (!decision.allowed) {
    // Whether a model exists is told to nobody by the way in which it is refused.
    const hides = resolution.kind === 'unknown' && decision.why === 'attestation';
    return hides ? refuseModel(asked ?? name) : refuseDecision(decision, asked ?? name);
  }
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
      ...(decision.limits === undefined ? {} : { limits: decision.limits }),
      ...(decision.budgets === undefined ? {} : { budgets: decision.budgets }),
      ...(decision.capture === 'full' ? { capture: decision.capture } : {}),
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
    view.access.mayUse(
      caller,
      qualified(provider, found.asked),
      view.providers.get(provider)?.attested === true,
    ),
  );
  return usable.length === 0 ? view.catalog : catalog.relist(usable, request.signal);
}

function qualified(provider: string, name: string): string {
  return name.startsWith(`${provider}/`) ? name : `${provider}/${name}`;
}

/** A fallback to a target that proved nothing would break what the others promise. */
export function areAttested(view: GatewayView, targets: readonly Target[]): boolean {
  return (
    targets.length > 0 &&
    targets.every(({ provider }) => view.providers.get(provider)?.attested === true)
  );
}

/** Whether every target behind a listed name is attested: an alias, or `provider/model`. */
export function isAttestedName(
  { providers }: GatewayView,
  catalog: Catalog,
  name: string,
): boolean {
  const targets = Object.hasOwn(catalog.aliases, name) ? catalog.aliases[name] : undefined;
  const owners = targets?.map(({ provider }) => provider) ?? [name.split('/', 1)[0] ?? ''];
  return owners.length > 0 && owners.every((id) => providers.get(id)?.attested === true);
}

/** `detail` is for the log alone. */
export function refuseModel(
  name: string,
  detail?: Readonly<Record<string, string>>,
): Result<never, Refusal> {
  return refuse(
    'model_not_found',
    `There is no model "${name}" that you may use. List yours with GET /v1/models.`,
    { param: 'model', ...(detail === undefined ? {} : { detail }) },
  );
}

function refuseDecision(
  decision: AccessDecision & { allowed: false },
  name: string,
): Result<never, Refusal> {
  switch (decision.why) {
    case 'no-policy':
      return refuse(
        'access_denied',
        'No policy is in force here, so nobody may call anything. Whoever runs this Postern writes policy.hujson and puts it in force: postern policy apply.',
        { detail: { decision: decision.id } },
      );
    case 'unmapped':
      return refuse(
        'access_denied',
        'You are known here, but as nobody whom the policy could name. Whoever runs this Postern says what you are for it under "identities" in the configuration.',
        { detail: { decision: decision.id } },
      );
    case 'attestation':
      return refuse(
        'access_denied',
        `What grants you "${name}" asks for an attested target (requireAttested), and what serves it now is not.`,
        { param: 'model', detail: { decision: decision.id } },
      );
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
      return refuseModel(name, { decision: decision.id });
  }
}
