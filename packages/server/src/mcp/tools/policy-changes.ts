import type { JsonObject, Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import { packText, parseDocument, patch, textOf } from '@postern/core/base/hujson';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { PolicyPlan } from '@postern/core/state';
import { stateLimits } from '@postern/core/state';
import { z } from 'zod';
import { mcpLimits } from '../limits.ts';
import { plainLine } from '../text.ts';
import type { AnyTool, ToolContext, ToolHints, ToolResult } from '../tool.ts';
import { done, jsonOf, looks, refused, rowsOf, tool, wordOf } from '../tool.ts';
import { digest, planId } from './fields.ts';
import { policyNow } from './policy-questions.ts';

/** Findings, changes and failed tests of a plan that an answer shows; the counts say of how many. */
const shownMax = 20;
const diffCharsMax = 8_000;

const applies: ToolHints = Object.freeze({
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: false,
  openWorldHint: false,
});
const confirms: ToolHints = Object.freeze({
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
});
const takesBack: ToolHints = Object.freeze({
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: true,
  openWorldHint: false,
});

export const policyChangeTools: readonly AnyTool[] = [
  tool({
    name: 'plan_policy_change',
    title: 'Plan a policy change',
    description:
      'What a change would do: who gains and loses access, findings, tests, risk, and who has to approve. Changes no policy; keeps the plan for a day. Edit with ops (comments stay) or give the whole text.',
    hints: looks,
    operations: ['policy.show', 'policy.plan'],
    input: z.strictObject({
      base_etag: z.string().max(64).describe('etag of get_acl_policy.'),
      ops: z
        .array(
          z.strictObject({
            op: z.enum(['add', 'remove', 'replace', 'move', 'copy', 'test']),
            path: z.string().max(1_024),
            from: z.string().max(1_024).optional(),
            value: z.unknown().optional(),
          }),
        )
        .min(1)
        .max(64)
        .optional()
        .describe('RFC 6902, such as {"op":"add","path":"/grants/-","value":{…}}.'),
      text: z.string().max(stateLimits.policyCharsMax).optional(),
    }),
    run: async (context, { base_etag: base, ops, text: whole }) => {
      const now = await policyNow(context);
      if (!now.ok) return refused(now.error);
      const text = candidateOf(now.value.text, ops, whole);
      if (!text.ok) return refused(text.error);
      const planned = await context.perform('policy.plan', { body: { text: text.value, base } });
      if (!planned.ok) return refused(planned.error);
      return done(planAnswer(jsonOf(planned.value)));
    },
  }),
  tool({
    name: 'update_acl_policy',
    title: 'Apply a planned policy',
    description:
      'Puts a plan of yours in force, on trial: without confirm_policy_change in time it is taken back. Plans that change access need a person first, who runs `postern approve`.',
    hints: applies,
    operations: ['policy.show', 'policy.apply', 'policy.confirm', 'policy.rollback'],
    input: z.strictObject({
      plan_id: planId,
      confirm_within_s: z.number().min(30).max(3_600).default(300),
    }),
    run: applyPlan,
  }),
  tool({
    name: 'confirm_policy_change',
    title: 'Confirm a policy',
    description:
      'Ends the trial of the policy that was applied. Call it once you know that it works.',
    hints: confirms,
    operations: ['policy.confirm'],
    input: z.strictObject({ digest: digest.describe('Of update_acl_policy.') }),
    run: async (context, input) => {
      const confirmed = await context.perform('policy.confirm', { body: input });
      return confirmed.ok ? done({ confirmed: jsonOf(confirmed.value) }) : refused(confirmed.error);
    },
  }),
  tool({
    name: 'rollback_policy_change',
    title: 'Take a policy back',
    description: 'Takes the policy on trial back; the one before is in force at once.',
    hints: takesBack,
    operations: ['policy.rollback'],
    input: z.strictObject({ digest, reason: z.string().min(1).max(500).optional() }),
    run: async (context, { digest: expected, reason }) => {
      const rolled = await context.perform('policy.rollback', {
        body: { expected, ...(reason === undefined ? {} : { reason }) },
      });
      return rolled.ok ? done({ in_force: jsonOf(rolled.value) }) : refused(rolled.error);
    },
  }),
];

function candidateOf(
  current: string,
  ops: readonly unknown[] | undefined,
  whole: string | undefined,
): Result<string, Refusal> {
  if ((ops === undefined) === (whole === undefined)) {
    return refuse('invalid_request', 'Give ops or text, one of them.');
  }
  if (whole !== undefined) return ok(whole);
  const document = parseDocument(current);
  if (!document.ok) return refuse('invalid_request', 'The policy in force cannot be read.');
  const patched = patch(document.value.root, JSON.stringify(ops));
  return patched.ok
    ? ok(textOf(packText(patched.value)))
    : refuse('invalid_request', patched.error.message, { param: 'ops' });
}

function planAnswer(planned: JsonObject): JsonObject {
  const { verdict, risk, plan } = planned;
  const [findings, changes] = [rowsOf(planned['findings']), rowsOf(planned['changes'])];
  const failed = rowsOf(planned['tests']).filter(({ passed }) => passed !== true);
  const { id, expires_at: expiresAt } = rowsOf([plan ?? {}])[0] ?? {};
  const diff = wordOf(planned['text_diff']);
  return {
    verdict: verdict ?? null,
    risk: risk ?? null,
    ...(typeof id === 'string' ? { plan_id: id, expires_at: expiresAt ?? null } : {}),
    findings: findings.slice(0, shownMax),
    findings_total: findings.length,
    changes: changes.slice(0, shownMax),
    changes_total: changes.length,
    tests_failed: failed.slice(0, shownMax),
    tests_total: rowsOf(planned['tests']).length,
    text_diff: diff.length > diffCharsMax ? `${diff.slice(0, diffCharsMax)}\n…` : diff,
    next: nextStep(verdict, typeof id === 'string' ? id : ''),
  };
}

/** What to do now; made of our own words and the id alone. */
function nextStep(verdict: JsonObject[string] | undefined, id: string): string {
  if (verdict === 'refused') return 'Nobody can apply this. Change what the findings name.';
  if (verdict === 'approval') {
    return `A person has to decide: ask them to run \`postern approve ${id}\`. Then call update_acl_policy.`;
  }
  return 'Call update_acl_policy.';
}

async function applyPlan(
  context: ToolContext,
  { plan_id: id, confirm_within_s: seconds }: { plan_id: string; confirm_within_s: number },
): Promise<ToolResult> {
  const plan = context.plan(id);
  if (!plan.ok) return refused(plan.error);
  context.note({ plan: id });
  const agreed = agreedTo(context, plan.value);
  if (agreed !== undefined) return agreed;
  const applied = await context.perform('policy.apply', {
    body: { plan: id, confirm_within_s: Math.trunc(seconds), note: 'by an agent' },
  });
  if (!applied.ok) return refused(applied.error);
  const { version, trial_until: until, unchanged, engine } = jsonOf(applied.value);
  const { number, digest: applies } = rowsOf([version ?? {}])[0] ?? {};
  return done({
    version: number ?? null,
    digest: applies ?? null,
    trial_until: until ?? null,
    unchanged: unchanged === true,
    ...(engine === undefined ? {} : { engine }),
    next: 'Check that it works, then call confirm_policy_change with the digest over a new connection; else it is taken back.',
  });
}

/** Why a plan is not applied yet; undefined where a person agreed in the way that its risk asks for. */
function agreedTo(context: ToolContext, plan: PolicyPlan): ToolResult | undefined {
  const { id, approval, risk } = plan;
  if (approval !== undefined) {
    context.note({ approvedBy: approval.by });
    return undefined;
  }
  const approve = `Ask a person to run \`postern approve ${id}\`, then call again.`;
  if (risk === 'high') {
    const why = `The plan ${id} changes access, which only a person decides, and not through this client. ${approve}`;
    return refused(refusal('access_denied', why, { param: 'plan_id' }));
  }
  if (context.agreement === 'given') {
    context.note({ approvedBy: 'elicitation' });
    return undefined;
  }
  if (context.agreement === 'declined') {
    return refused(refusal('access_denied', 'The person declined. Nothing was changed.'));
  }
  if (!context.canAsk) {
    const why = `This client cannot put a question to a person. ${approve}`;
    return refused(refusal('access_denied', why, { param: 'plan_id' }));
  }
  return { kind: 'ask', message: questionAbout(plan) };
}

function questionAbout({ id, risk, digest: applies, summary }: PolicyPlan): string {
  const findings = summary.slice(0, shownMax).map((line) => `- ${plainLine(line)}`);
  return plainLinesOf([
    `Put the policy of ${id} (risk ${risk}, digest ${applies.slice(0, 12)}) in force, on trial?`,
    findings.length === 0 ? 'It changes nobody’s access.' : 'It was found that:',
    ...findings,
  ]);
}

function plainLinesOf(lines: readonly string[]): string {
  return lines.join('\n').slice(0, mcpLimits.documentCharsMax);
}
