import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { Command, StateEvent } from './command.ts';
import type { DecideContext, Decision } from './decision.ts';
import { stateLimits } from './limits.ts';
import type { Author, PolicyState } from './model.ts';
import { currentPolicy, findPlan, noPolicy, policyDigest } from './policy-state.ts';

type Of<K extends Command['kind']> = Extract<Command, { kind: K }>;

/** One trial at a time; the base has to be in force; a high risk needs a plan that somebody else approved. */
export function applyPolicy(
  policy: PolicyState,
  command: Of<'policy.apply'>,
  context: DecideContext,
): Decision {
  const { text, digest, base, risk, plan, confirmWithinMs, note } = command;
  const { nowMs, author } = context;
  const blocked = trialRefusal(policy) ?? baseRefusal(policy, base);
  if (blocked !== undefined) return err(blocked);
  const current = currentPolicy(policy);
  if (current?.digest === digest) return ok([]);
  const needsPlan = risk === 'high' && !isFirstOfProcess(policy, author);
  const unapproved =
    needsPlan || plan !== undefined ? planRefusal(policy, command, nowMs) : undefined;
  if (unapproved !== undefined) return err(unapproved);
  return ok([
    {
      kind: 'policy.applied',
      version: {
        number: policy.lastNumber + 1,
        digest,
        text,
        risk,
        appliedBy: author.actor.principal,
        appliedAtMs: nowMs,
        previous: current?.number ?? 0,
        ...(plan === undefined ? {} : { plan }),
        ...(note === undefined ? {} : { note }),
      },
      ...(confirmWithinMs === undefined ? {} : { deadlineMs: nowMs + confirmWithinMs }),
    },
  ]);
}

/** The first policy ever, by the process at its start: nothing is in force that it could widen or lock out. */
function isFirstOfProcess({ lastNumber }: PolicyState, { actor }: Author): boolean {
  return lastNumber === 0 && actor.channel === 'system';
}

function trialRefusal({ pending }: PolicyState): Refusal | undefined {
  if (pending === undefined) return undefined;
  return refusal(
    'conflict',
    `The policy ${pending.digest.slice(0, 12)} is on trial until ${isoTime(pending.deadlineMs)}. Confirm it or roll it back first.`,
  );
}

function baseRefusal(policy: PolicyState, base: string): Refusal | undefined {
  const inForce = policyDigest(policy);
  if (base === inForce) return undefined;
  return refusal(
    'conflict',
    `The policy in force is ${inForce}, not ${base} from which this change was made. Read it again and plan anew.`,
    { param: 'base' },
  );
}

function planRefusal(
  policy: PolicyState,
  { plan: id, digest, base, risk }: Of<'policy.apply'>,
  nowMs: number,
): Refusal | undefined {
  if (id === undefined) {
    return refusal(
      'access_denied',
      'This change is of high risk: it needs a plan that a second person approved (in a one-person network: `postern approve` on the control socket).',
      { param: 'plan' },
    );
  }
  const plan = findPlan(policy, id);
  if (plan === undefined || nowMs >= plan.expiresAtMs) {
    return refusal('not_found', `There is no plan ${id}, or it has expired.`, { param: 'plan' });
  }
  if (plan.digest !== digest || plan.base !== base) {
    return refusal('conflict', `The plan ${id} is for another change. Plan this one.`, {
      param: 'plan',
    });
  }
  if (risk !== 'high' || plan.approval !== undefined) return undefined;
  return refusal(
    'access_denied',
    `The plan ${id} is of high risk and nobody has approved it: \`postern approve ${id}\`.`,
    { param: 'plan' },
  );
}

export function confirmPolicy(
  { pending }: PolicyState,
  { digest }: Of<'policy.confirm'>,
  { nowMs }: DecideContext,
): Decision {
  if (pending?.digest !== digest) {
    return refuse('conflict', 'This policy is not on trial, so there is nothing to confirm.', {
      param: 'digest',
    });
  }
  if (nowMs >= pending.deadlineMs) {
    return refuse('conflict', `The trial ended at ${isoTime(pending.deadlineMs)}.`);
  }
  return ok([{ kind: 'policy.confirmed', digest }]);
}

/** Back to the version before, or to no policy. A confirmed one only by the owner of the control socket. */
export function rollBackPolicy(
  policy: PolicyState,
  { expected, cause, reason }: Of<'policy.rollback'>,
  { nowMs, author }: DecideContext,
): Decision {
  const { pending } = policy;
  const [current, before] = policy.versions;
  if (current?.digest !== expected) {
    return refuse(
      'conflict',
      `The policy in force is ${current?.digest ?? noPolicy}, not ${expected}: nothing was rolled back.`,
      { param: 'expected' },
    );
  }
  if (cause === 'unconfirmed' && (pending === undefined || nowMs < pending.deadlineMs)) {
    return refuse('conflict', 'The policy is not on trial any more, or its trial is not over.');
  }
  if (pending === undefined && author.actor.channel !== 'control-socket') {
    return refuse(
      'access_denied',
      'This policy is confirmed. Plan the older text as a change, or roll back on the control socket.',
    );
  }
  if (current.previous !== 0 && before === undefined) {
    return refuse('conflict', `Version ${current.previous} is not kept any more; apply its text.`);
  }
  const why = reason === undefined ? {} : { reason };
  return ok([{ kind: 'policy.rolled_back', digest: current.digest, cause, ...why }]);
}

export function createPlan(
  policy: PolicyState,
  command: Of<'plan.create'>,
  { nowMs, newId, author }: DecideContext,
): Decision {
  const { text, digest, base, risk, summary, persons, lifeMs } = command;
  const stale = baseRefusal(policy, base);
  if (stale !== undefined) return err(stale);
  const createdBy = author.actor.principal;
  const known = policy.plans.find(
    (plan) =>
      plan.digest === digest &&
      plan.base === base &&
      plan.createdBy === createdBy &&
      plan.expiresAtMs > nowMs,
  );
  if (known?.text === text && known.risk === risk) return ok([]);
  const plan = {
    id: `plan_${newId()}`,
    text,
    digest,
    base,
    risk,
    summary,
    createdBy,
    persons,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + lifeMs,
  };
  return ok([...roomForPlan(policy, createdBy, nowMs), { kind: 'plan.created', plan }]);
}

/** Plans that expired go, then the oldest of an author who has many, then the oldest of all. */
function roomForPlan(
  { plans }: PolicyState,
  createdBy: string,
  nowMs: number,
): readonly StateEvent[] {
  const { plansKept, plansPerAuthor } = stateLimits;
  const live = plans.filter((plan) => plan.expiresAtMs > nowMs);
  const own = live.filter((plan) => plan.createdBy === createdBy);
  const surplus = new Set(own.slice(0, Math.max(0, own.length - (plansPerAuthor - 1))));
  const rest = live.filter((plan) => !surplus.has(plan));
  const kept = new Set(rest.slice(Math.max(0, rest.length - (plansKept - 1))));
  const ids = plans.filter((plan) => !kept.has(plan)).map(({ id }) => id);
  return ids.length === 0 ? [] : [{ kind: 'plans.dropped', ids }];
}

/** A second person, or the owner of the process on the control socket, where the file system is the second factor. */
export function approvePlan(
  policy: PolicyState,
  { id, persons }: Of<'plan.approve'>,
  { nowMs, author }: DecideContext,
): Decision {
  const plan = findPlan(policy, id);
  if (plan === undefined || nowMs >= plan.expiresAtMs) {
    return refuse('not_found', `There is no plan ${id}, or it has expired.`, { param: 'id' });
  }
  const stale = baseRefusal(policy, plan.base);
  if (stale !== undefined) return err(stale);
  const { principal, channel } = author.actor;
  if (channel === 'mcp') {
    return refuse(
      'access_denied',
      'A plan is approved by a person, not through the tools of an agent.',
    );
  }
  const isStepUp = channel === 'control-socket' && principal.startsWith('local:');
  if (!isStepUp) {
    if (persons.length === 0) {
      return refuse('access_denied', 'A plan is approved by a person, not by a key or a program.');
    }
    const own = persons.some((person) => plan.persons.includes(person));
    if (own || principal === plan.createdBy) {
      return refuse('access_denied', 'You made this plan: somebody else has to approve it.');
    }
  }
  if (plan.approval !== undefined) return ok([]);
  return ok([{ kind: 'plan.approved', id, approval: { by: principal, channel, atMs: nowMs } }]);
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
