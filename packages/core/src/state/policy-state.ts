import { assert, present, unreachable } from '@postern/core/base';
import type { StateEvent } from './command.ts';
import { stateLimits } from './limits.ts';
import type { PolicyPlan, PolicyState, PolicyVersion } from './model.ts';

/** Stands for the digest where no policy is in force. */
export const noPolicy = 'none';

export const emptyPolicy: PolicyState = Object.freeze({
  versions: Object.freeze([]),
  lastNumber: 0,
  plans: Object.freeze([]),
});

/** The policy in force; undefined where the configuration alone decides. */
export function currentPolicy(policy: PolicyState): PolicyVersion | undefined {
  return policy.versions[0];
}

/** What `If-Match` compares with. */
export function policyDigest(policy: PolicyState): string {
  return policy.versions[0]?.digest ?? noPolicy;
}

export function findPlan(policy: PolicyState, id: string): PolicyPlan | undefined {
  return policy.plans.find((plan) => plan.id === id);
}

type PolicyEvent = Extract<
  StateEvent,
  {
    kind:
      | 'policy.applied'
      | 'policy.confirmed'
      | 'policy.rolled_back'
      | 'plan.created'
      | 'plan.approved'
      | 'plans.dropped';
  }
>;

export function reducePolicy(policy: PolicyState, event: PolicyEvent): PolicyState {
  switch (event.kind) {
    case 'policy.applied': {
      const { version, deadlineMs } = event;
      const versions = [version, ...policy.versions].slice(0, stateLimits.policiesKept);
      return {
        versions,
        lastNumber: version.number,
        plans: policy.plans.filter(({ digest }) => digest !== version.digest),
        ...(deadlineMs === undefined ? {} : { pending: { digest: version.digest, deadlineMs } }),
      };
    }
    case 'policy.confirmed':
      assert(policy.pending?.digest === event.digest, 'what is confirmed was on trial');
      return settled(policy, policy.versions);
    case 'policy.rolled_back': {
      const [taken, ...left] = policy.versions;
      assert(taken?.digest === event.digest, 'what is rolled back was in force');
      return settled(policy, left);
    }
    case 'plan.created':
      return { ...policy, plans: [...policy.plans, event.plan] };
    case 'plan.approved': {
      const { id, approval } = event;
      const plan = present(findPlan(policy, id), `plan ${id} to approve`);
      const plans = policy.plans.map((each) => (each === plan ? { ...plan, approval } : each));
      return { ...policy, plans };
    }
    case 'plans.dropped':
      return { ...policy, plans: policy.plans.filter(({ id }) => !event.ids.includes(id)) };
    default:
      return unreachable(event);
  }
}

/** Without a trial. */
function settled(policy: PolicyState, versions: readonly PolicyVersion[]): PolicyState {
  const { lastNumber, plans } = policy;
  return { versions, lastNumber, plans };
}
