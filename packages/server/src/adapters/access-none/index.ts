/**
 * @module Where no policy is in force: nobody may call anything, and each refusal says what is missing.
 *
 * Promises: denies everyone everything under one decision id. Refuses: any exception, also for whoever runs the
 * process; they put a policy in force on the control socket.
 */
import type { Caller } from '@postern/core/identity';
import type { AccessDecision, AccessPolicy } from '../../gateway/index.ts';

/** The id of its decisions: no policy has the revision `none`. */
export const noPolicyDecision = 'none:deny/ai/no_policy';

const denied: AccessDecision = Object.freeze({
  allowed: false,
  id: noPolicyDecision,
  why: 'no-policy',
});

export const denyEveryone: AccessPolicy = Object.freeze({
  decide: () => denied,
  mayUse: () => false,
  selectorsOf: ({ subject }: Caller) => subject.selectors,
  mayAdminister: () => false,
});
