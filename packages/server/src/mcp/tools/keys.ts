import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import { parsePolicyText } from '@postern/core/policy';
import { mintableTags } from '@postern/core/policy/change';
import { standInInventory } from '@postern/core/policy/report';
import { z } from 'zod';
import { plainLine } from '../text.ts';
import type { AnyTool, ToolContext, ToolResult } from '../tool.ts';
import { done, jsonOf, refused, rowsOf, tool, wordOf } from '../tool.ts';
import { word } from './fields.ts';
import { policyNow } from './policy-questions.ts';

const secondsMax = 3_600;

export const keyTools: readonly AnyTool[] = [
  tool({
    name: 'generate_auth_key',
    title: 'Generate an auth key',
    description:
      'A key by which a machine with these tags joins, after a person agreed. You are told where the key waits for a person; you never get it.',
    hints: {
      readOnlyHint: false,
      destructiveHint: true,
      idempotentHint: false,
      openWorldHint: false,
    },
    operations: ['policy.show', 'preauthkey.create'],
    input: z.strictObject({
      tags: z
        .array(word.regex(/^tag:[a-zA-Z][a-zA-Z0-9-]*$/))
        .min(1)
        .max(8),
      ephemeral: z.boolean().default(true).describe('The machine is forgotten when it goes.'),
      reusable: z.boolean().default(false),
      expires_in_s: z.number().min(60).max(secondsMax).default(secondsMax),
      description: z.string().max(200).optional(),
    }),
    run: async (context, input) => {
      const mine = await mayGive(context, input.tags);
      if (!mine.ok) return refused(mine.error);
      const agreed = agreedTo(context, input);
      return agreed ?? makeKey(context, input);
    },
  }),
];

interface KeyInput {
  readonly tags: readonly string[];
  readonly ephemeral: boolean;
  readonly reusable: boolean;
  readonly expires_in_s: number;
  readonly description?: string | undefined;
}

/** Whoever could not give a tag to a machine by hand cannot do so by a key either. */
async function mayGive(
  context: ToolContext,
  tags: readonly string[],
): Promise<Result<void, Refusal>> {
  const now = await policyNow(context);
  if (!now.ok) return now;
  const { file } = parsePolicyText(now.value.text);
  const { subject } = context.caller;
  const known = tags.filter((tag) => file.tagOwners.has(tag));
  const unknown = tags.find((tag) => !file.tagOwners.has(tag));
  if (unknown !== undefined) {
    return refuse('invalid_request', `The policy has no ${unknown} in tagOwners.`, {
      param: 'tags',
    });
  }
  if (subject.authority === 'local') return ok(undefined);
  const own = mintableTags(file, standInInventory(context.inventory(), [file]), subject.selectors);
  const foreign = known.find((tag) => !own.has(tag));
  return foreign === undefined
    ? ok(undefined)
    : refuse('access_denied', `${foreign} is not yours to give: see tagOwners of the policy.`, {
        param: 'tags',
      });
}

function agreedTo(context: ToolContext, input: KeyInput): ToolResult | undefined {
  const { tags, ephemeral, reusable, expires_in_s: seconds } = input;
  if (context.agreement === 'given') {
    context.note({ approvedBy: 'elicitation' });
    return undefined;
  }
  const what = `a ${reusable ? 'reusable' : 'single-use'} key, for ${Math.trunc(seconds)} s, by which ${reusable ? 'machines join' : 'a machine joins'} as ${tags.join(', ')}${ephemeral ? ' (forgotten when it goes)' : ''}`;
  if (context.agreement === 'declined') {
    return refused(refusal('access_denied', 'The person declined. No key was made.'));
  }
  if (context.canAsk) return { kind: 'ask', message: plainLine(`Make ${what}?`) };
  return refused(
    refusal(
      'access_denied',
      `This client cannot put a question to a person. Ask them to run \`postern network key create --tags ${tags.join(',')}\`.`,
    ),
  );
}

async function makeKey(context: ToolContext, input: KeyInput): Promise<ToolResult> {
  const { tags, ephemeral, reusable, expires_in_s: seconds, description } = input;
  const made = await context.perform('preauthkey.create', {
    body: {
      tags: [...tags],
      ephemeral,
      reusable,
      lifetime_seconds: Math.trunc(seconds),
      ...(description === undefined ? {} : { description: plainLine(description, 200) }),
    },
  });
  if (!made.ok) return refused(made.error);
  const { key, secret } = jsonOf(made.value);
  const { id, hint, expires_at: expiresAt } = rowsOf([key ?? {}])[0] ?? {};
  const delivered = await context.deliver(wordOf(secret), wordOf(id));
  if (!delivered.ok) {
    // A key that nobody can fetch is of no use to anybody: it does not stay.
    await context.perform('preauthkey.revoke', { params: { key: wordOf(id) } });
    return refused(delivered.error);
  }
  return done({
    id: id ?? null,
    hint: hint ?? null,
    tags: [...tags],
    expires_at: expiresAt ?? null,
    secret: { ...delivered.value },
  });
}
