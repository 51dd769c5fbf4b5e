import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { ApplyRequest } from '../policy/index.ts';
import {
  applyPolicyText,
  approvePolicyPlan,
  authorityOf,
  checkPolicyText,
  confirmPolicyTrial,
  diffPolicy,
  explainPolicy,
  planPolicy,
  reachOfPolicy,
  rollBackPolicyTo,
} from '../policy/index.ts';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';
import {
  plannedSchema,
  policyAppliedSchema,
  policyApplyBody,
  policyCheckBody,
  policyCheckSchema,
  policyConfirmBody,
  policyDiffBody,
  policyDiffSchema,
  policyExplainBody,
  policyExplainSchema,
  policyPlanBody,
  policyPlanSchema,
  policyReachBody,
  policyReachSchema,
  policyRollbackBody,
  policyRolledBackSchema,
  policyShowSchema,
  policyVersionSchema,
} from './policy-schemas.ts';
import { planView, policyView, questionOf, versionView } from './policy-views.ts';
import { isoTime } from './views.ts';

const questions: readonly AnyOperation[] = [
  operation({
    name: 'policy.show',
    summary:
      'Show the policy in force, a trial, waiting plans, and the file that nobody applied yet.',
    changes: false,
    method: 'get',
    path: '/policy',
    status: 200,
    output: policyShowSchema,
    run: async ({ policy }) => ok(await policyView(policy.tools, policy.alarm())),
  }),
  operation({
    name: 'policy.check',
    summary: 'Say what is wrong with a policy file, and run its tests.',
    changes: false,
    method: 'post',
    path: '/policy/check',
    status: 200,
    body: policyCheckBody,
    output: policyCheckSchema,
    run: async ({ policy }, { body }) =>
      ok(plain(await checkPolicyText(policy.tools, body.text, body.for))),
  }),
  operation({
    name: 'policy.diff',
    summary:
      'Say what a policy file would change for whom, compared with the one in force or another.',
    changes: false,
    method: 'post',
    path: '/policy/diff',
    status: 200,
    body: policyDiffBody,
    output: policyDiffSchema,
    run: async ({ policy }, { body }) => ok(plain(await diffPolicy(policy.tools, body))),
  }),
  operation({
    name: 'policy.explain',
    summary: 'Say why a request, an operation or a packet is allowed or not.',
    changes: false,
    method: 'post',
    path: '/policy/explain',
    status: 200,
    body: policyExplainBody,
    output: policyExplainSchema,
    run: async ({ policy }, { body }) => {
      const question = questionOf(body);
      if (!question.ok) return question;
      return plainly(await explainPolicy(policy.tools, question.value, body.text));
    },
  }),
  operation({
    name: 'policy.reach',
    summary: 'List who reaches what.',
    changes: false,
    method: 'post',
    path: '/policy/reach',
    status: 200,
    body: policyReachBody,
    output: policyReachSchema,
    run: async ({ policy }, { body }) => plainly(await reachOfPolicy(policy.tools, body)),
  }),
];

const changes: readonly AnyOperation[] = [
  operation({
    name: 'policy.plan',
    summary: 'Say what a change of the policy would mean, and keep it for an approval.',
    changes: true,
    method: 'post',
    path: '/policy/plans',
    status: 201,
    body: policyPlanBody,
    output: plannedSchema,
    run: async ({ policy }, { body }, by) => {
      const { engine_etag: engineEtag, ...request } = body;
      const done = await planPolicy(
        policy.tools,
        { ...request, ...(engineEtag === undefined ? {} : { engineEtag }) },
        by,
      );
      if (!done.ok) return done;
      const { assessment, plan } = done.value;
      return ok({ ...plain(assessment), plan: plan === undefined ? null : planView(plan) });
    },
  }),
  operation({
    name: 'policy.approve',
    summary: 'Approve a plan of high risk: a second person, or the owner on the control socket.',
    changes: true,
    method: 'post',
    path: '/policy/plans/{plan}/approve',
    status: 200,
    params: z.strictObject({ plan: z.string() }),
    output: policyPlanSchema,
    run: async ({ policy }, { params }, by) => {
      const done = await approvePolicyPlan(policy.tools, params.plan, by);
      return done.ok ? ok(planView(done.value)) : done;
    },
  }),
  operation({
    name: 'policy.apply',
    summary: 'Put a policy in force, on trial until it is confirmed.',
    changes: true,
    method: 'post',
    path: '/policy/apply',
    status: 200,
    body: policyApplyBody,
    output: policyAppliedSchema,
    run: async ({ policy }, { body }, by) => {
      const request = applyRequestOf(body);
      if (!request.ok) return request;
      const done = await applyPolicyText(policy.tools, request.value, by);
      if (!done.ok) return done;
      const { version, deadlineMs, isNew, engine } = done.value;
      return ok({
        version: versionView(version),
        trial_until: deadlineMs === undefined ? null : isoTime(deadlineMs),
        unchanged: !isNew,
        ...(engine === undefined ? {} : { engine }),
      });
    },
  }),
  operation({
    name: 'policy.confirm',
    summary: 'Confirm the policy that is on trial.',
    changes: true,
    method: 'post',
    path: '/policy/confirm',
    status: 200,
    body: policyConfirmBody,
    output: policyVersionSchema,
    run: async ({ policy }, { body }, by) => {
      const done = await confirmPolicyTrial(policy.tools, body.digest, by);
      return done.ok ? ok(versionView(done.value)) : done;
    },
  }),
  operation({
    name: 'policy.rollback',
    summary: 'Take the policy in force back; a confirmed one only on the control socket.',
    changes: true,
    method: 'post',
    path: '/policy/rollback',
    status: 200,
    body: policyRollbackBody,
    output: policyRolledBackSchema,
    run: async ({ policy }, { body }, by) => {
      const { expected, reason } = body;
      const request = { expected, ...(reason === undefined ? {} : { reason }) };
      const done = await rollBackPolicyTo(policy.tools, request, by);
      if (!done.ok) return done;
      const version = done.value;
      const { control, ports } = policy.tools;
      return ok({
        authority: authorityOf(ports, control.snapshot().policy),
        version: version === undefined ? null : versionView(version),
      });
    },
  }),
];

export const policyOperations: readonly AnyOperation[] = [...questions, ...changes];

function applyRequestOf(body: z.output<typeof policyApplyBody>): Result<ApplyRequest, Refusal> {
  const { plan, text, base, note } = body;
  const seconds = body.confirm_within_s;
  const over = body.engine_etag;
  const rest = {
    ...(over === undefined ? {} : { engineEtag: over }),
    ...(seconds === 0 ? {} : { confirmWithinMs: seconds * 1_000 }),
    ...(note === undefined ? {} : { note }),
  };
  if (plan !== undefined && text === undefined && base === undefined) {
    return ok({ what: { plan }, ...rest });
  }
  if (plan === undefined && text !== undefined && base !== undefined) {
    return ok({ what: { text, base }, ...rest });
  }
  return refuse(
    'invalid_request',
    'Give a plan, or a text with its base: nothing is written blind.',
  );
}

/** Reports are deeply read-only; schemas take lists that could change. The values are the same. */
type Plain<T> = T extends readonly (infer Item)[]
  ? Plain<Item>[]
  : T extends object
    ? { -readonly [K in keyof T]: Plain<T[K]> }
    : T;

function plain<T>(value: T): Plain<T> {
  // Nobody writes to an answer: it is turned into text at once.
  return value as Plain<T>;
}

function plainly<T>(result: Result<T, Refusal>): Result<Plain<T>, Refusal> {
  return result.ok ? ok(plain(result.value)) : result;
}
