import type { Account, Lowered } from './account.ts';
import { paidIn } from './account.ts';
import type { Budget, Refill } from './budget.ts';
import { boundaryIndex, boundaryMs, periodMs } from './budget.ts';
import { refill, steadilyAtMs } from './refill.ts';

/**
 * The account as of now and under these terms, whoever asks: what came due until now came due under the terms that it had, and only then
 * do the new ones count. A configuration that raises a budget gives the difference at once, one that lowers it takes it: what was spent
 * in this period stays spent.
 */
export function accountNow(budget: Budget, before: Account, nowMs: number): Account {
  const plan = budget.refill ?? null;
  const old = termsBefore(budget, before);
  const account = refill(old, before, nowMs);
  const isOld = old.capacity === budget.capacity && isSame(old.refill, budget.refill);
  if (isOld) return before.plan === undefined ? { ...account, plan } : account;
  const changed = { ...account, plan, opened: budget.capacity, ...restarted(old, account, nowMs) };
  return resized(budget, old, changed);
}

/** Rows of the first version know their capacity alone: budgets that people write refill all of it. */
function termsBefore(budget: Budget, { opened, plan }: Account): Budget {
  const { refill: now, ...rest } = budget;
  const terms = { ...rest, capacity: opened };
  if (plan !== undefined) return plan === null ? terms : { ...terms, refill: plan };
  if (now === undefined || opened === 0) return terms;
  return { ...terms, refill: opened === budget.capacity ? now : { ...now, amount: opened } };
}

function isSame(a: Refill | undefined, b: Refill | undefined): boolean {
  return a?.amount === b?.amount && a?.every === b?.every && a?.style === b?.style;
}

/** From now on the new refill counts; a clock that stepped back does not refill again what is in. */
function restarted(
  { refill: plan }: Budget,
  account: Account,
  nowMs: number,
): Pick<Account, 'refilledToMs' | 'refilledSince'> {
  const inToMs = plan?.style === 'steady' ? steadilyAtMs(plan, account, 0) : account.refilledToMs;
  return { refilledToMs: Math.max(Math.floor(nowMs), inToMs), refilledSince: 0 };
}

function resized(budget: Budget, old: Budget, account: Account): Account {
  const difference = budget.capacity - old.capacity;
  const endMs = periodEndMs(budget, account.refilledToMs);
  if (difference < 0) {
    const balance = account.balance + difference;
    const before = account.lowered?.amount ?? 0;
    const amount = before + Math.max(0, -balance) - Math.max(0, -account.balance);
    // A budget of nothing has no periods: what was spent in the last one is over when that is.
    const lastMs = account.lowered?.untilMs ?? periodEndMs(old, account.refilledToMs);
    return withLowered({ ...account, balance }, amount, endMs ?? lastMs);
  }
  const paid = paidIn(account, difference);
  const { amount = 0, untilMs = endMs } = paid.lowered ?? {};
  const soonerMs = untilMs === undefined ? undefined : Math.min(untilMs, endMs ?? untilMs);
  return withLowered(paid, amount, soonerMs);
}

function withLowered(account: Account, amount: number, untilMs: number | undefined): Account {
  const { lowered: _, ...rest } = account;
  if (amount === 0) return rest;
  const lowered: Lowered = { amount, ...(untilMs === undefined ? {} : { untilMs }) };
  return { ...rest, lowered };
}

/** When what was spent by then is over: a steady refill takes one period to make up for it. */
function periodEndMs({ refill: plan }: Budget, nowMs: number): number | undefined {
  if (plan === undefined) return undefined;
  if (plan.style === 'steady') return nowMs + periodMs[plan.every];
  return boundaryMs(plan.every, boundaryIndex(plan.every, nowMs) + 1);
}
