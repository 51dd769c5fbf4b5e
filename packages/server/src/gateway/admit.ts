import type { Result, Soon } from '@postern/core/base';
import { andThen, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Catalog, Resolution, Target } from '@postern/core/routing';
import { resolveModel } from '@postern/core/routing';
import { abortSignalOf } from '../http/index.ts';
import type { ModelCatalog } from './catalog.ts';
import type { AccessDecision } from './ports.ts';
import type { GatewayView } from './view.ts';
import type { Admitted, Decoded, Identified, Permit } from './stages.ts';

/** What a request may write where neither the caller, the rule nor the model says: 4,096 tokens. */
const outputTokensDefault = 4_096;

/**
 * Decides whether this caller may have this model, before anything is sent anywhere. An unknown model and one that
 * the caller may not use give the same answer: lists and errors tell nobody what exists for others.
 */
export function admit(stage: Decoded, catalog: ModelCatalog): Soon<Result<Admitted, Refusal>> {
  const asked = stage.conversation.model;
  const resolution = resolved(stage.view.catalog, asked);
  if (resolution.kind === 'found') return admitTo(stage, resolution);
  return andThen(freshCatalog(stage, catalog, asked), (fresh) =>
    admitTo(stage, resolveModel(fresh, asked)),
  );
}

/** Names that were found lately: what a name stands for is a value of the catalogue, which is replaced whole. */
const found = new WeakMap<Catalog, Map<string | undefined, Resolution>>();
/** Where a provider takes any name, callers choose what is remembered. */
const foundMax = 1_024;

function resolved(catalog: Catalog, asked: string | undefined): Resolution {
  let names = found.get(catalog);
  if (names === undefined) found.set(catalog, (names = new Map()));
  const known = names.get(asked);
  if (known !== undefined) return known;
  const resolution = resolveModel(catalog, asked);
  if (resolution.kind === 'found') {
    if (names.size >= foundMax) names.clear();
    names.set(asked, resolution);
  }
  return resolution;
}

function admitTo(stage: Decoded, resolution: Resolution): Result<Admitted, Refusal> {
  const asked = stage.conversation.model;
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
  const { request, reply, view, caller, trace, dialect, text, conversation, glanced } = stage;
  const permit: Permit = {
    decisionId: decision.id,
    rule: decision.rule,
    model: name,
    maxOutputTokens: decision.maxOutputTokens ?? modelCap ?? outputTokensDefault,
    limits: decision.limits,
    budgets: decision.budgets,
    capture: decision.capture === 'full' ? decision.capture : undefined,
  };
  const { targets } = resolution;
  return ok({
    request,
    reply,
    view,
    caller,
    trace,
    dialect,
    text,
    conversation,
    glanced,
    permit,
    targets,
    purse: undefined,
  });
}

/**
 * A name that nobody lists makes the providers that may have it list again, at most every few seconds. Only where the
 * caller could use what it would find: a wait would tell the others apart what exists and what does not.
 */
export function freshCatalog(
  stage: Identified,
  catalog: ModelCatalog,
  asked: string | undefined,
): Soon<Catalog> {
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
  return usable.length === 0 ? view.catalog : catalog.relist(usable, abortSignalOf(request.signal));
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
