import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';

/** Whether this process may write the state that it reads. */
export type Role =
  /** Nobody else has the store. */
  | { readonly kind: 'alone' }
  | { readonly kind: 'leader' }
  /** `leader` is the name of the gateway that leads, where one is known to. */
  | { readonly kind: 'follower'; readonly leader?: string };

/** Changes are the leader's: says who it is. Nothing was changed. */
export function followerRefusal({ leader }: { readonly leader?: string }): Refusal {
  const message =
    leader === undefined
      ? 'Nothing was changed: this gateway follows, and none is known to lead now. Try again.'
      : `Nothing was changed: this gateway follows. "${leader}" leads: ask there.`;
  return refusal('state_unavailable', message, {
    retryAfterMs: 2_000,
    detail: leader === undefined ? { role: 'follower' } : { role: 'follower', leader },
  });
}
