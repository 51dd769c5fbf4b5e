import type { Result, Soon } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { answersOf } from './money/billed-apart.ts';
import type { LimitsRefused, Taken } from './money/limiter.ts';
import { countTokens, takeLimits } from './money/limiter.ts';
import { Prompt } from './money/prompt.ts';
import { Purse } from './money/purse.ts';
import { rateLines } from './money/rate-lines.ts';
import type { CallerTerms } from './money/terms.ts';
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
  const { money, access } = stage.view;
  if (money === undefined) return ok(stage);
  const { caller, permit, conversation } = stage;
  const terms = money.terms.of(caller, permit, access);
  if (!terms.ok) {
    // What is wrong is the configuration; the caller is told that it is not their doing.
    return refuse(
      'access_denied',
      'What grants you this model charges a budget or limit that does not fit you. Whoever runs this Postern finds the reason in the log.',
      { detail: { decision: permit.decisionId, why: terms.error } },
    );
  }
  const paying = { stage, account, money, terms: terms.value, prompt: new Prompt(conversation) };
  if (terms.value.limits.length === 0) return opened(paying, undefined);
  const answer = take(paying, counts);
  if (answer instanceof Promise) return answer.then((taken) => counted(paying, taken));
  return counted(paying, answer);
}

/** A request on its way to a purse. */
interface Paying {
  readonly stage: Admitted;
  readonly account: Account;
  readonly money: GatewayMoney;
  readonly terms: CallerTerms;
  readonly prompt: Prompt;
}

function take(
  { stage, money, terms, prompt }: Paying,
  counts: 'request' | 'tokens',
): Soon<Result<Taken, LimitsRefused>> {
  const { limits } = terms;
  const { conversation, permit } = stage;
  const cap = conversation.maxOutputTokens ?? permit.maxOutputTokens;
  // Counted until the usage is known: the prompt, and of the answer no more than a stream reserves at first.
  const tokens =
    counts === 'tokens' && countTokens(limits)
      ? prompt.tokens + (answersOf(conversation) === 0 ? 0 : Math.min(cap, countedAnswerTokens))
      : 0;
  return takeLimits(money.limits, { holder: stage.request.id, terms: limits, tokens });
}

/** Output tokens that a request is counted with before it has any: most answers are shorter. */
const countedAnswerTokens = 1_000;

function counted(paying: Paying, taken: Result<Taken, LimitsRefused>): Result<Admitted, Refusal> {
  const { reply, dialect } = paying.stage;
  const rooms = taken.ok ? taken.value : taken.error.counted;
  if (rooms !== undefined) {
    const family = dialect.name === 'anthropic-messages' ? 'anthropic' : 'openai';
    const lines = rateLines(rooms, family, paying.money.nowMs());
    if (lines !== undefined) reply.add(lines);
  }
  if (taken.ok) return opened(paying, taken.value);
  const { refusal } = taken.error;
  const isServed = refusal.code === 'state_unavailable' && paying.money.whenDown === 'serve';
  return isServed ? opened(paying, undefined) : err(refusal);
}

function opened(
  { stage, account, money, terms, prompt }: Paying,
  taken: Taken | undefined,
): Result<Admitted, Refusal> {
  const { request, reply, view, caller, trace, dialect, text, conversation, glanced } = stage;
  const { permit, targets } = stage;
  const purse = new Purse(money, {
    id: request.id,
    prompt,
    caller,
    terms,
    conversation,
    model: permit.model,
    maxOutputTokens: permit.maxOutputTokens,
    taken,
  });
  account.paying(purse);
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
