import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Dialect, DialectName } from '@postern/core/dialect';
import { dialectNamed } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Target } from '@postern/core/routing';
import { orderTargets } from '@postern/core/routing';
import type { Provider } from './ports.ts';
import type { Admitted, Attempt, Routed } from './stages.ts';

/** Places of one provider that one request tries. */
const endpointsMax = 4;

/**
 * Turns the permitted targets into attempts, in the order in which they are tried: which provider, at which of its
 * places, in which format. A provider that speaks the caller's own format gets it (bytes pass through); otherwise
 * its preferred one.
 */
export function route(stage: Admitted): Result<Routed, Refusal> {
  const attempts = onlyAttempt(stage) ?? attemptsOf(stage);
  if (attempts.length === 0) {
    return refuse('upstream_unavailable', `No provider of "${stage.permit.model}" is there now.`);
  }
  const { request, reply, view, caller, trace, dialect, text, conversation, glanced } = stage;
  const { permit, targets, purse } = stage;
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
    purse,
    attempts,
  });
}

/** What one target comes to in one format, remembered: a name mostly stands for one model at one place. */
const known = new WeakMap<
  Target,
  { readonly provider: Provider; readonly own: Dialect; readonly attempts: readonly Attempt[] }
>();

function onlyAttempt({ targets, dialect, view }: Admitted): readonly Attempt[] | undefined {
  const [target] = targets;
  if (target === undefined || targets.length > 1) return undefined;
  const provider = view.providers.get(target.provider);
  if (provider === undefined || provider.endpoints !== undefined) return undefined;
  const before = known.get(target);
  if (before?.provider === provider && before.own === dialect) return before.attempts;
  const attempts = formatsFor(dialect, provider, target.model).map(
    (spoken): Attempt => ({ target, provider, endpoint: '', dialect: spoken }),
  );
  known.set(target, { provider, own: dialect, attempts });
  return attempts;
}

function attemptsOf(stage: Admitted): readonly Attempt[] {
  const { fleet, providers } = stage.view;
  const attempts: Attempt[] = [];
  for (const target of orderTargets(stage.targets, fleet.random)) {
    const provider = providers.get(target.provider);
    if (provider === undefined) continue;
    for (const endpoint of fleet.endpointsOf(provider).slice(0, endpointsMax))
      for (const dialect of formatsFor(stage.dialect, provider, target.model))
        attempts.push({ target, provider, endpoint, dialect });
  }
  return attempts;
}

/** Formats that nothing else is translated to, unless nothing else is there: a text is continued, a vector is none. */
const neverBridged: ReadonlySet<DialectName> = new Set(['openai-completions', 'openai-embeddings']);

/**
 * Legacy completions have two ways: natively, and over chat where the model behind knows only that. The native one
 * is first, because a base model continues a text and a chat template would change it.
 */
function formatsFor(own: Dialect, provider: Provider, model: string): readonly Dialect[] {
  const spoken = provider.dialectsFor?.(model, own.name) ?? provider.dialects;
  const names: DialectName[] = [];
  if (spoken.includes(own.name)) names.push(own.name);
  const other = spoken.find((name) => name !== own.name && !neverBridged.has(name));
  const needsBridge = names.length === 0 || own.name === 'openai-completions';
  if (needsBridge && other !== undefined) names.push(other);
  // Of what is never bridged, completions can at least answer in words.
  const last = spoken.find((name) => name !== 'openai-embeddings') ?? spoken[0];
  if (names.length === 0 && last !== undefined) names.push(last);
  return names.map(dialectNamed);
}
