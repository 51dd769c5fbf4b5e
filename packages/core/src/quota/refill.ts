import { assert } from '@postern/core/base';
import type { Account } from './account.ts';
import { leasedOf, paidIn } from './account.ts';
import type { Budget, Refill } from './budget.ts';
import { boundaryIndex, boundaryMs, periodMs } from './budget.ts';

/** Puts in what is due by now, up to the capacity. A clock that stepped back changes nothing. */
export function refill(budget: Budget, before: Account, nowMs: number): Account {
  assert(Number.isFinite(nowMs), 'time is a finite number');
  const now = Math.floor(nowMs);
  const account = forgiven(budget, before, now);
  const plan = budget.refill;
  if (plan === undefined || now <= account.refilledToMs) return account;
  const room = roomOf(budget, account);
  if (plan.style === 'boundary') {
    const passed = boundaryIndex(plan.every, now) - boundaryIndex(plan.every, account.refilledToMs);
    // Above 2⁵³ the product rounds, but stays above any room.
    return credited(account, Math.min(room, passed * plan.amount), now, 0);
  }
  const elapsed = BigInt(now - account.refilledToMs);
  const due = (elapsed * BigInt(plan.amount)) / BigInt(periodMs[plan.every]);
  const fresh = due - BigInt(account.refilledSince);
  // A clock that stepped back, but not behind the last whole period, finds less due than is in already.
  if (fresh <= 0n) return account;
  if (fresh >= BigInt(room)) return credited(account, room, now, 0);
  // Whole periods are taken out of both, so that neither grows with the age of the account.
  const periods = due / BigInt(plan.amount);
  const toMs = account.refilledToMs + Number(periods) * periodMs[plan.every];
  return credited(account, Number(fresh), toMs, Number(due - periods * BigInt(plan.amount)));
}

/** In a new period, what the lowered budget took in the old one is no debt any more. What slices still hold of it waits for them. */
function forgiven(budget: Budget, account: Account, now: number): Account {
  const { lowered } = account;
  if (lowered?.untilMs === undefined || now < lowered.untilMs) return account;
  const amount = Math.min(roomOf(budget, account), lowered.amount);
  return { ...paidIn(account, amount), refilled: account.refilled + amount };
}

function roomOf(budget: Budget, account: Account): number {
  return Math.max(0, budget.capacity - account.balance - leasedOf(account));
}

function credited(account: Account, amount: number, toMs: number, since: number): Account {
  return {
    ...account,
    balance: account.balance + amount,
    refilled: account.refilled + amount,
    refilledToMs: toMs,
    refilledSince: since,
  };
}

/** When the balance will be that much by refills alone, epoch ms; undefined where it never will. */
export function affordableAtMs(
  budget: Budget,
  account: Account,
  amount: number,
): number | undefined {
  const plan = budget.refill;
  if (account.balance >= amount) return account.refilledToMs;
  if (plan === undefined || amount + leasedOf(account) > budget.capacity) return undefined;
  const missing = amount - account.balance;
  const paidAtMs = refilledAtMs(plan, account, missing);
  const { lowered } = account;
  if (lowered?.untilMs === undefined || paidAtMs <= lowered.untilMs) return paidAtMs;
  const others = Math.max(0, missing - lowered.amount);
  return Math.max(lowered.untilMs, refilledAtMs(plan, account, others));
}

/** When so much more will have come in. */
function refilledAtMs(plan: Refill, account: Account, amount: number): number {
  if (plan.style === 'boundary') {
    const times = Math.ceil(amount / plan.amount);
    return boundaryMs(plan.every, boundaryIndex(plan.every, account.refilledToMs) + times);
  }
  return steadilyAtMs(plan, account, amount);
}

/** The same of a steady refill; of nothing more: the moment up to which all is in. */
export function steadilyAtMs(plan: Refill, account: Account, amount: number): number {
  const due = BigInt(amount + account.refilledSince) * BigInt(periodMs[plan.every]);
  const waitMs = (due + BigInt(plan.amount) - 1n) / BigInt(plan.amount);
  return account.refilledToMs + Number(waitMs);
}
