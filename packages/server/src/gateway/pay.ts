import type { Result, Soon } from '@postern/core/base';
import { andThen, err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Taken } from './money/limiter.ts';
import { countTokens, headroomOf, rateLines, takeLimits } from './money/limiter.ts';
import { Prompt } from './money/prompt.ts';
import { Purse } from './money/purse.ts';
import type { CallerTerms, LimitTerm } from './money/terms.ts';
import type { GatewayMoney } from './view.ts';
import type { Account } from './settle.ts';
import type { Admitted } from './stages.ts';

/**
 * Counts an admitted request under its limits and opens the purse that pays for its attempts. Nothing is reserved yet: what an attempt costs
 * depends on where it goes. `request`: no model answers it, so it counts as a request and not by its tokens.
 */
export function openPurse(
  stage: Admitted,
  account: Account,
  counts: 'request' | 'tokens' = 'tokens',
): Soon<Result<Admitted, Refusal>> {
  const { money } = stage.view;
  if (money === undefined) return ok(stage);
  const { caller, permit, conversation } = stage;
  const terms = money.terms.of(caller, permit);
  if (!terms.ok) {
    // What is wrong is the configuration; the caller is told that it is not their doing.
    return refuse(
      'access_denied',
      'What grants you this model charges a budget or limit that does not fit you. Whoever runs this Postern finds the reason in the log.',
      { detail: { decision: permit.decisionId, why: terms.error } },
    );
  }
  const { limits } = terms.value;
  const prompt = new Prompt(conversation);
  const open = (taken: Result<Taken | undefined, Refusal>): Result<Admitted, Refusal> =>
    opened(stage, account, { money, terms: terms.value, prompt, taken });
  if (limits.length === 0) return open(uncounted);
  const counted = counts === 'tokens' ? prompt : undefined;
  return andThen(take(stage, { money, limits, prompt: counted }), open);
}

const uncounted = ok(undefined);

function opened(
  stage: Admitted,
  account: Account,
  {
    money,
    terms,
    prompt,
    taken,
  }: {
    readonly money: GatewayMoney;
    readonly terms: CallerTerms;
    readonly prompt: Prompt;
    readonly taken: Result<Taken | undefined, Refusal>;
  },
): Result<Admitted, Refusal> {
  const { permit, conversation } = stage;
  const isServed =
    !taken.ok && taken.error.code === 'state_unavailable' && money.whenDown === 'serve';
  if (!taken.ok && !isServed) return taken;
  const purse = new Purse(money, {
    id: stage.request.id,
    prompt,
    caller: stage.caller,
    terms,
    conversation,
    model: permit.model,
    maxOutputTokens: permit.maxOutputTokens,
    taken: taken.ok ? taken.value : undefined,
  });
  account.paying(purse);
  const { request, reply, view, caller, trace, dialect, text, glanced, targets } = stage;
  return ok({
    request,
    reply,
    view,
    caller,
    trace,
    dialect,
    text,
    conversation,
    glanced,
    permit,
    targets,
    purse,
  });
}

function take(
  stage: Admitted,
  {
    money,
    limits,
    prompt,
  }: {
    readonly money: GatewayMoney;
    readonly limits: readonly LimitTerm[];
    /** Absent where tokens do not count. */
    readonly prompt: Prompt | undefined;
  },
): Soon<Result<Taken, Refusal>> {
  const { conversation, permit, dialect, reply } = stage;
  const cap = conversation.maxOutputTokens ?? permit.maxOutputTokens;
  // Counted until the usage is known: the prompt, and of the answer no more than a stream reserves at first.
  const tokens =
    prompt !== undefined && countTokens(limits)
      ? prompt.tokens + Math.min(cap, countedAnswerTokens)
      : 0;
  const answer = takeLimits(money.limits, { holder: stage.request.id, terms: limits, tokens });
  return andThen(answer, (taken) => {
    const counted = taken.ok ? taken.value : taken.error.counted;
    if (counted !== undefined) {
      const family = dialect.name === 'anthropic-messages' ? 'anthropic' : 'openai';
      reply.add(rateLines(headroomOf(counted), family, money.nowMs()));
    }
    return taken.ok ? taken : err(taken.error.refusal);
  });
}

/** Output tokens that a request is counted with before it has any: most answers are shorter. */
const countedAnswerTokens = 1_000;
