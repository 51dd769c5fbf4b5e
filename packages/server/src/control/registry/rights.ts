import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Requester } from '../control.ts';

/** What a caller may do with the registry. */
export type RegistryRights =
  | { readonly kind: 'operator' }
  /** May read everything and register these types; `*` is any. */
  | { readonly kind: 'member'; readonly types: readonly string[] };

const anyType = '*';
/** Among the allowed apps: whichever it is. */
export const anyApp = '*';
const operator: RegistryRights = Object.freeze({ kind: 'operator' });

/** Admin and control socket have judged their callers already; on the registry's own listener keys and apps count. */
export function rightsOf(
  by: Requester,
  allowedApps: readonly string[],
): Result<RegistryRights, Refusal> {
  if (by.actor.channel !== 'control') return ok(operator);
  const { scope, caller } = by;
  const subject = caller?.subject;
  if (subject?.authority === 'key') {
    if (scope?.admin === true) return ok(operator);
    if (scope?.join !== undefined) return ok({ kind: 'member', types: scope.join });
    return refuse(
      'access_denied',
      'This key is not one for joining. Make one with `postern key create NAME --join TYPE`.',
    );
  }
  const isAllowed = (app: string): boolean =>
    allowedApps.includes(anyApp) || allowedApps.includes(app.toLowerCase());
  if (subject?.authority === 'app' && isAllowed(subject.id)) {
    return ok({ kind: 'member', types: [anyType] });
  }
  return refuse('access_denied', 'You may not use the registry: no rule names you.');
}

export function mayRegister(rights: RegistryRights, nodeType: string): boolean {
  if (rights.kind === 'operator' || nodeType === '') return true;
  return rights.types.includes(anyType) || rights.types.includes(nodeType);
}
