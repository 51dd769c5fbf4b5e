/**
 * @module Change control of the policy file: a plan for a proposed file, with every reason not to apply it.
 *
 * Promises: a plan names what changes for whom, with a witness that the compiled rules confirm; nobody who has
 * to be able to mend a mistake is locked out unseen; authors cannot raise themselves; deleting a test does not
 * switch it off. Refuses: applying, timers, storage, deciding who may approve. Limits are those of
 * `policy/reason`; where they cut the comparison short, the plan is held for a human.
 */
export type { ChangeCode, ChangeFinding, ChangeSeverity, Place } from './finding.ts';
export { describeChange } from './finding.ts';
export { type ChangePlan, planChange, policyHash, type Risk, type Verdict } from './plan.ts';
export {
  type ChangeActor,
  type ChangeRequest,
  type CrownJewel,
  noProtection,
  type ProtectedCapability,
  type ProtectedLogin,
  type ProtectedPath,
  type Protection,
} from './request.ts';
export { mintableTags } from './tag-owners.ts';
export { textDiff } from './text-diff.ts';
