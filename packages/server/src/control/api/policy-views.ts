import type { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { PolicyPlan, PolicyVersion } from '@postern/core/state';
import { currentPolicy, policyDigest } from '@postern/core/state';
import type { Candidate, PolicyQuestion, PolicyTools } from '../policy/index.ts';
import { authorityOf } from '../policy/index.ts';
import type {
  policyExplainBody,
  policyPlanSchema,
  policyShowSchema,
  policyVersionSchema,
} from './policy-schemas.ts';
import { isoTime } from './views.ts';

export function versionView(version: PolicyVersion): z.input<typeof policyVersionSchema> {
  const { number, digest, risk, appliedBy, appliedAtMs, plan, note } = version;
  return {
    number,
    digest,
    risk,
    applied_by: appliedBy,
    applied_at: isoTime(appliedAtMs),
    ...(plan === undefined ? {} : { plan }),
    ...(note === undefined ? {} : { note }),
  };
}

export function planView(plan: PolicyPlan): z.input<typeof policyPlanSchema> {
  const { id, digest, base, risk, summary, createdBy, createdAtMs, expiresAtMs, approval } = plan;
  return {
    id,
    digest,
    base,
    risk,
    summary: [...summary],
    created_by: createdBy,
    created_at: isoTime(createdAtMs),
    expires_at: isoTime(expiresAtMs),
    ...(approval === undefined
      ? {}
      : { approved_by: approval.by, approved_at: isoTime(approval.atMs) }),
  };
}

/** What is in force, what is on trial, what waits, and what lies on the disk. */
export async function policyView(
  { control, ports }: PolicyTools,
  alarm: string | undefined,
): Promise<z.input<typeof policyShowSchema>> {
  const { policy } = control.snapshot();
  const current = currentPolicy(policy);
  const before = policy.versions[1];
  const candidate = await ports.candidate();
  const nowMs = control.system.nowMs();
  return {
    authority: authorityOf(ports, policy),
    version: current === undefined ? null : versionView(current),
    text: current?.text ?? ports.builtIn()?.text ?? null,
    base: policyDigest(policy),
    trial_until: policy.pending === undefined ? null : isoTime(policy.pending.deadlineMs),
    previous: before === undefined ? null : versionView(before),
    plans: policy.plans.filter(({ expiresAtMs }) => expiresAtMs > nowMs).map(planView),
    candidate: {
      file: candidate.file,
      state: stateOf(candidate, current?.text),
      ...(candidate.problem === undefined ? {} : { problem: candidate.problem }),
      auto_apply: candidate.autoApply,
    },
    alarm: alarm ?? ports.engine?.()?.sync().problem ?? null,
    ...engineStanding(ports),
  };
}

function engineStanding({ engine }: PolicyTools['ports']) {
  const sync = engine?.()?.sync();
  return sync === undefined ? {} : { engine: { ...sync } };
}

function stateOf(
  { text, problem }: Candidate,
  inForce: string | undefined,
): 'absent' | 'unreadable' | 'in_force' | 'differs' {
  if (problem !== undefined) return 'unreadable';
  if (text === undefined) return 'absent';
  return text === inForce ? 'in_force' : 'differs';
}

/** The one question that a body asks; several at once are none. */
export function questionOf(
  body: z.output<typeof policyExplainBody>,
): Result<PolicyQuestion, Refusal> {
  const { decision, from, to, port, who, key, model, dialect, operation } = body;
  const questions: PolicyQuestion[] = [];
  const asked = { selectors: who, key };
  if (decision !== undefined) questions.push({ kind: 'decision', id: decision });
  if (from !== undefined && to !== undefined) questions.push({ kind: 'packet', from, to, port });
  const isHalf = (from === undefined) !== (to === undefined);
  if (model !== undefined) {
    const maxOutputTokens = body.max_output_tokens;
    questions.push({ kind: 'model', who: asked, model, dialect, maxOutputTokens });
  }
  if (operation !== undefined) questions.push({ kind: 'operation', who: asked, operation });
  const [question, ...others] = questions;
  if (question !== undefined && others.length === 0 && !isHalf) return ok(question);
  return refuse(
    'invalid_request',
    'Ask one question: a decision; from and to; a model or an operation, with who or key.',
  );
}
