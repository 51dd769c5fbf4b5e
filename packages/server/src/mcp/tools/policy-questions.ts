import type { JsonObject, Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import { packText, parseDocument, patch, textOf as unpacked } from '@postern/core/base/hujson';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { z } from 'zod';
import { mcpLimits } from '../limits.ts';
import type { AnyTool, ToolContext } from '../tool.ts';
import { done, jsonOf, looks, refused, rowsOf, tool, wordOf } from '../tool.ts';
import { cursor, limit, pageOf, planId, word } from './fields.ts';
import { outlineOf, sectionOf } from './policy-sections.ts';

const aboutPlan = planId.optional().describe('Ask about the policy of this plan instead.');

/** The policy that decides now. */
export interface PolicyNow {
  readonly text: string;
  readonly base: string;
  readonly shown: JsonObject;
}

export async function policyNow(context: ToolContext): Promise<Result<PolicyNow, Refusal>> {
  const got = await context.perform('policy.show');
  if (!got.ok) return got;
  const shown = jsonOf(got.value);
  const { text, base } = shown;
  return ok({ text: wordOf(text) || '{}', base: wordOf(base), shown });
}

/** `{text}` of a plan for the operations that take one; nothing for the policy in force. */
function textOf(
  context: ToolContext,
  plan: string | undefined,
): Result<{ readonly text?: string }, Refusal> {
  if (plan === undefined) return ok({});
  const found = context.plan(plan);
  return found.ok ? ok({ text: found.value.text }) : found;
}

export const policyQuestionTools: readonly AnyTool[] = [
  tool({
    name: 'get_acl_policy',
    title: 'Get policy',
    description:
      'The policy in force with its etag. Outline by default: names and line numbers; then read one section.',
    hints: looks,
    operations: ['policy.show'],
    input: z.strictObject({
      section: word.optional().describe('Such as grants, groups, tagOwners, tests.'),
      format: z.enum(['outline', 'hujson', 'json']).default('outline'),
      plan_id: aboutPlan,
    }),
    run: async (context, { section, format, plan_id: plan }) => {
      const now = await policyNow(context);
      if (!now.ok) return refused(now.error);
      const other = textOf(context, plan);
      if (!other.ok) return refused(other.error);
      const { shown, base } = now.value;
      const text = other.value.text ?? now.value.text;
      const { trial_until: trialUntil, version, authority } = shown;
      const head = {
        etag: base,
        authority: authority ?? null,
        version: rowsOf([version ?? {}])[0]?.['number'] ?? null,
        ...(typeof trialUntil === 'string' ? { trial_until: trialUntil } : {}),
      };
      const content =
        format === 'outline' ? outlineOf(text, section) : sectionOf(text, section, format);
      return content.ok ? done({ ...head, ...content.value }) : refused(content.error);
    },
  }),
  tool({
    name: 'explain_access',
    title: 'Explain access',
    description:
      'Why something is allowed or not, with rules and lines. Ask one question: from and to (a packet), or who with model or operation.',
    hints: looks,
    operations: ['policy.explain'],
    input: z.strictObject({
      from: word.optional().describe('Machine, user, tag or address.'),
      to: word.optional(),
      port: word.optional().describe('Such as 443, tcp:22, icmp:*.'),
      who: z.array(word).max(16).optional().describe('Selectors: alice@example.com, tag:ci.'),
      model: word.optional(),
      operation: word.optional().describe('Of the admin API, such as policy.apply.'),
      plan_id: aboutPlan,
    }),
    run: async (context, { plan_id: plan, from, to, ...question }) => {
      const text = textOf(context, plan);
      if (!text.ok) return refused(text.error);
      const [source, target] = await Promise.all([endOf(context, from), endOf(context, to)]);
      const answer = await context.perform('policy.explain', {
        body: { ...present({ ...question, from: source, to: target }), ...text.value },
      });
      return answer.ok ? done(jsonOf(answer.value)) : refused(answer.error);
    },
  }),
  tool({
    name: 'list_reachable',
    title: 'List reachable',
    description: 'What one end reaches (from), or who reaches it (to).',
    hints: looks,
    operations: ['policy.reach'],
    input: z.strictObject({
      from: word.optional(),
      to: word.optional(),
      plan_id: aboutPlan,
      limit,
      cursor,
    }),
    run: async (context, { from, to, plan_id: plan, limit: count, cursor: after }) => {
      if (from === undefined && to === undefined) {
        return refused(oneEnd);
      }
      const text = textOf(context, plan);
      if (!text.ok) return refused(text.error);
      const [source, target] = await Promise.all([endOf(context, from), endOf(context, to)]);
      const answer = await context.perform('policy.reach', {
        body: { ...present({ from: source, to: target }), ...text.value },
      });
      if (!answer.ok) return refused(answer.error);
      const { rows: found, complete } = jsonOf(answer.value);
      const { rows, next } = pageOf(rowsOf(found), after, count);
      return done({
        rows,
        total: rowsOf(found).length,
        complete: complete === true,
        ...(next === undefined ? {} : { next }),
      });
    },
  }),
  tool({
    name: 'run_policy_tests',
    title: 'Run policy tests',
    description:
      'The tests of the policy (or of a plan), and assertions of your own. Keeps nothing.',
    hints: looks,
    operations: ['policy.show', 'policy.check'],
    input: z.strictObject({
      plan_id: aboutPlan,
      assertions: z
        .array(
          z.strictObject({
            src: word,
            accept: z.array(word).max(64).optional().describe('host:port'),
            deny: z.array(word).max(64).optional(),
          }),
        )
        .max(32)
        .default([]),
    }),
    run: async (context, { plan_id: plan, assertions }) => {
      const now = await policyNow(context);
      if (!now.ok) return refused(now.error);
      const other = textOf(context, plan);
      if (!other.ok) return refused(other.error);
      const text = withTests(other.value.text ?? now.value.text, assertions);
      if (!text.ok) return refused(text.error);
      const answer = await context.perform('policy.check', { body: { text: text.value } });
      if (!answer.ok) return refused(answer.error);
      const { valid, tests_passed: passed, tests, findings } = jsonOf(answer.value);
      return done({
        valid: valid === true,
        tests_passed: passed === true,
        tests: rowsOf(tests).slice(0, mcpLimits.rowsMax * 2),
        findings: rowsOf(findings)
          .filter(({ severity }) => severity === 'error')
          .slice(0, mcpLimits.rowsMax),
      });
    },
  }),
];

const oneEnd = {
  code: 'invalid_request',
  message: 'Give from or to, or both.',
} as const;

/**
 * Where others run the engine, the policy is reasoned about without its machines: then one stands for whoever owns it,
 * or for its first tag.
 */
async function endOf(context: ToolContext, end: string | undefined): Promise<string | undefined> {
  const isSelector = end === undefined || /[:@*]/.test(end);
  if (isSelector || context.inventory().nodes.length > 0 || !context.may('node.show')) return end;
  const shown = await context.perform('node.show', { params: { node: end } });
  if (!shown.ok) return end;
  const { user, tags } = jsonOf(shown.value);
  const [tag] = Array.isArray(tags) ? tags : [];
  return wordOf(tag) || wordOf(user) || end;
}

/** Without the members that nobody gave. */
function present(question: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(question).filter(([, value]) => value !== undefined));
}

/** The policy with assertions after its own tests; comments and everything else stay. */
function withTests(text: string, assertions: readonly object[]): Result<string, Refusal> {
  if (assertions.length === 0) return ok(text);
  const document = parseDocument(text);
  if (!document.ok) return refuse('invalid_request', 'The policy cannot be read.');
  const hasTests = document.value.positionOf('/tests') !== undefined;
  const operations = hasTests
    ? assertions.map((value) => ({ op: 'add', path: '/tests/-', value }))
    : [{ op: 'add', path: '/tests', value: assertions }];
  const patched = patch(document.value.root, JSON.stringify(operations));
  return patched.ok
    ? ok(unpacked(packText(patched.value)))
    : refuse('invalid_request', patched.error.message, { param: 'assertions' });
}
