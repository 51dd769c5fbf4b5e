import type { Result } from '@postern/core/base';
import { err, ok, present } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { PolicyPlan, PolicyVersion } from '@postern/core/state';
import { currentPolicy, findPlan, policyDigest, stateLimits } from '@postern/core/state';
import type { Control, Requester } from '../control.ts';
import type { Assessment } from './assess.ts';
import type { EngineStanding, PolicyPorts } from './ports.ts';

export interface PolicyTools {
  readonly control: Control;
  readonly ports: PolicyPorts;
}

/** How long a plan waits for its approval. */
const planLifeMs = 86_400_000;

/**
 * The policy that was applied over a connection. A connection that is open stays open under any policy, so only a new
 * one shows that whoever confirms still gets in.
 */
const appliedOver = new WeakMap<object, string>();

export interface PlanRequest {
  readonly text: string;
  /** Digest of the policy from which the text was made, or `noPolicy`. */
  readonly base: string;
  /** What somebody else wrote at the engine, and which may go. */
  readonly engineEtag?: string;
}

export interface Planned {
  readonly assessment: Assessment;
  /** Undefined where the change is refused: there is nothing to approve. */
  readonly plan: PolicyPlan | undefined;
}

/** Says what a change would mean and keeps it for an approval. Changes no policy. */
export async function planPolicy(
  { control, ports }: PolicyTools,
  request: PlanRequest,
  by: Requester,
): Promise<Result<Planned, Refusal>> {
  const assessed = await assess({ control, ports }, request, by);
  if (!assessed.ok) return recorded(control, 'plan.create', by, assessed.error);
  const assessment = assessed.value;
  if (assessment.verdict === 'refused') return ok({ assessment, plan: undefined });
  const there = await ports.engine?.()?.admits(request.text, request.engineEtag);
  if (there?.ok === false) return recorded(control, 'plan.create', by, there.error);
  const { risk, digest } = assessment;
  const done = await control.execute(
    {
      kind: 'plan.create',
      text: request.text,
      base: request.base,
      digest,
      risk,
      summary: summaryOf(assessment),
      persons: personsOf(by.caller),
      lifeMs: planLifeMs,
    },
    by,
  );
  if (!done.ok) return done;
  const made = done.value.events.find((event) => event.kind === 'plan.created')?.plan;
  const { plans } = done.value.snapshot.policy;
  const plan =
    made ??
    plans.findLast(
      (each) =>
        each.digest === digest &&
        each.base === request.base &&
        each.createdBy === by.actor.principal,
    );
  return ok({ assessment, plan: present(plan, 'the plan just made') });
}

export async function approvePolicyPlan(
  { control, ports }: PolicyTools,
  id: string,
  by: Requester,
): Promise<Result<PolicyPlan, Refusal>> {
  const isPerson = by.caller?.subject.kind === 'user';
  const persons = isPerson ? personsOf(by.caller) : [];
  const done = await control.execute({ kind: 'plan.approve', id, persons }, by);
  if (!done.ok) return done;
  ports.approved();
  return ok(present(findPlan(done.value.snapshot.policy, id), 'the plan just approved'));
}

export interface ApplyRequest {
  /** A plan by its id, or a text with the base that it was made from. */
  readonly what: { readonly plan: string } | PlanRequest;
  /** On trial for so long; absent: for good at once. */
  readonly confirmWithinMs?: number;
  readonly note?: string;
  /** What somebody else wrote at the engine, and which may go. */
  readonly engineEtag?: string;
}

export interface Applied {
  readonly version: PolicyVersion;
  readonly deadlineMs: number | undefined;
  /** False where this policy was in force already. */
  readonly isNew: boolean;
  /** How an engine that others run stands to it. */
  readonly engine?: EngineStanding;
}

/** Puts a policy in force for the next request. What is refused changes nothing. */
export async function applyPolicyText(
  tools: PolicyTools,
  request: ApplyRequest,
  by: Requester,
): Promise<Result<Applied, Refusal>> {
  const { control, ports } = tools;
  const what = changeOf(control, request);
  if (!what.ok) return recorded(control, 'policy.apply', by, what.error);
  const assessed = await assess(tools, what.value, by);
  if (!assessed.ok) return recorded(control, 'policy.apply', by, assessed.error);
  const { verdict, risk, digest } = assessed.value;
  if (verdict === 'refused') {
    return recorded(control, 'policy.apply', by, refusalOf(assessed.value));
  }
  const copy = ports.engine?.();
  const there = await copy?.admits(what.value.text, request.engineEtag);
  if (there?.ok === false) return recorded(control, 'policy.apply', by, there.error);
  await ports.prepare();
  const { text, base } = what.value;
  const plan = what.value.plan ?? approvedPlan(control, digest, base);
  const { confirmWithinMs, note } = request;
  const done = await control.execute(
    {
      kind: 'policy.apply',
      text,
      base,
      digest,
      risk,
      ...(plan === undefined ? {} : { plan }),
      ...(confirmWithinMs === undefined ? {} : { confirmWithinMs }),
      ...(note === undefined ? {} : { note }),
    },
    by,
  );
  if (!done.ok) return done;
  const applied = done.value.events.find((event) => event.kind === 'policy.applied');
  const { policy } = done.value.snapshot;
  const version = applied?.version ?? present(currentPolicy(policy), 'the policy in force');
  if (by.connection !== undefined) appliedOver.set(by.connection, version.digest);
  const engine = await copy?.push();
  return ok({
    version,
    deadlineMs: applied?.deadlineMs,
    isNew: applied !== undefined,
    ...(engine === undefined ? {} : { engine }),
  });
}

function changeOf(
  control: Control,
  { what }: ApplyRequest,
): Result<PlanRequest & { readonly plan?: string }, Refusal> {
  if (!('plan' in what)) return ok(what);
  const plan = findPlan(control.snapshot().policy, what.plan);
  if (plan !== undefined) return ok({ text: plan.text, base: plan.base, plan: plan.id });
  return refuse('not_found', `There is no plan ${what.plan}, or it has expired.`, {
    param: 'plan',
  });
}

/** A file that was planned and approved is the approved change, also where only its text is given. */
function approvedPlan(control: Control, digest: string, base: string): string | undefined {
  const nowMs = control.system.nowMs();
  return control
    .snapshot()
    .policy.plans.find(
      (plan) =>
        plan.digest === digest &&
        plan.base === base &&
        plan.approval !== undefined &&
        plan.expiresAtMs > nowMs,
    )?.id;
}

export async function confirmPolicyTrial(
  { control }: PolicyTools,
  digest: string,
  by: Requester,
): Promise<Result<PolicyVersion, Refusal>> {
  if (by.connection !== undefined && appliedOver.get(by.connection) === digest) {
    const why = refusal(
      'conflict',
      'This policy was applied over the same connection, which stays open whatever it says: confirm over a new one, which shows that you still get in.',
    );
    return recorded(control, 'policy.confirm', by, why);
  }
  const done = await control.execute({ kind: 'policy.confirm', digest }, by);
  if (!done.ok) return done;
  return ok(present(currentPolicy(done.value.snapshot.policy), 'the policy just confirmed'));
}

export interface RollbackRequest {
  readonly expected: string;
  readonly reason?: string;
}

/** Takes the policy in force back; returns the one that is in force now, if any. */
export async function rollBackPolicyTo(
  { control }: PolicyTools,
  request: RollbackRequest,
  by: Requester,
): Promise<Result<PolicyVersion | undefined, Refusal>> {
  const done = await control.execute({ kind: 'policy.rollback', cause: 'asked', ...request }, by);
  return done.ok ? ok(currentPolicy(done.value.snapshot.policy)) : done;
}

async function assess(
  { control, ports }: PolicyTools,
  { text, base }: PlanRequest,
  by: Requester,
): Promise<Result<Assessment, Refusal>> {
  if (text.length > stateLimits.policyCharsMax) {
    const message = `A policy has at most ${stateLimits.policyCharsMax} characters.`;
    return refuse('invalid_request', message, { param: 'text' });
  }
  const { policy } = control.snapshot();
  const inForce = policyDigest(policy);
  if (base !== inForce) {
    const message = `The policy in force is ${inForce}, not ${base} from which this change was made. Read it again and plan anew.`;
    return refuse('conflict', message, { param: 'base' });
  }
  const { assessPolicy } = await import('./assess.ts');
  const { sha256Hex } = control.system;
  const current = currentPolicy(policy)?.text;
  return ok(assessPolicy(ports, { current, candidate: text, by, sha256Hex }));
}

function refusalOf({ findings }: Assessment): Refusal {
  const [first, ...others] = findings.filter(({ severity }) => severity === 'refuse');
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  const where = first === undefined || first.line === 0 ? '' : `line ${first.line}: `;
  return refusal('invalid_request', `${where}${first?.message ?? 'it is refused'}${more}`, {
    param: 'text',
  });
}

/** A refusal before the journal's writer was asked has its line from here. */
function recorded(
  control: Control,
  operation: string,
  by: Requester,
  why: Refusal,
): Result<never, Refusal> {
  control.record({
    atMs: control.system.nowMs(),
    operation,
    actor: by.actor,
    ...(by.requestId === undefined ? {} : { requestId: by.requestId }),
    outcome: 'refused',
    code: why.code,
  });
  return err(why);
}

/** Findings as sentences that the journal takes: one line each, none longer than its limit. */
function summaryOf({ findings }: Assessment): readonly string[] {
  const { planSentencesMax, planSentenceCharsMax } = stateLimits;
  return findings.slice(0, planSentencesMax).map(({ severity, code, message }) =>
    `${severity} ${code}: ${message}`
      .replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ')
      .slice(0, planSentenceCharsMax)
      .toWellFormed(),
  );
}

/** Logins of a caller and of who carried the request: by them one person is known under several authorities. */
function personsOf(caller: Caller | undefined): readonly string[] {
  const selectors = [...(caller?.subject.selectors ?? []), ...(caller?.via?.selectors ?? [])];
  const logins = selectors
    .filter((each) => each.includes('@') && !/^(?:group|tag):/.test(each))
    .map((login) => login.toLowerCase());
  return [...new Set(logins)].slice(0, stateLimits.planPersonsMax);
}
