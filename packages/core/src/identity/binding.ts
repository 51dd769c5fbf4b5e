import type { Result } from '../base/index.ts';
import { ok } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import { refuse } from '../errors/index.ts';
import type { Principal } from './principal.ts';
import { principalKey } from './principal.ts';

/**
 * Whether a key that is bound to network principals may be used by the one that carried it. `boundTo` lists selectors
 * (`alice@example.com`, `tag:ci`) and principal keys (`tailnet:n12`); one of them is enough, and an empty list binds
 * to nobody in particular.
 */
export function judgeBinding(
  boundTo: readonly string[],
  via: Principal | undefined,
): Result<undefined, Refusal> {
  if (boundTo.length === 0) return ok(undefined);
  if (via === undefined) {
    return refuse(
      'credential_invalid',
      'This key works only for certain callers on the private network, and this connection does not come from there. Call by the name that the gateway has on the private network.',
    );
  }
  if (boundTo.includes(principalKey(via)) || via.selectors.some((name) => boundTo.includes(name)))
    return ok(undefined);
  return refuse(
    'credential_invalid',
    `This key works only for certain callers on the private network, and "${via.display}" is none of them.`,
  );
}
