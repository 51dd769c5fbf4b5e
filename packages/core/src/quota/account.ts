import { assert } from '@postern/core/base';
import { isAmount } from './amount.ts';
import type { Budget, Refill } from './budget.ts';

/**
 * The durable side of one account: what the store holds and changes in one transaction. At every moment
 * `opened + refilled = balance + what slices have left + spent + lost`.
 */
export interface Account {
  /** The capacity in force: a configuration that raises or lowers it raises or lowers this and the balance alike. */
  readonly opened: number;
  readonly refilled: number;
  /** What may still be leased. Below zero after an overrun: refills pay that first. */
  readonly balance: number;
  /** Settled, as reported. */
  readonly spent: number;
  /** Counted as spent because nothing proves that it was not. */
  readonly lost: number;
  readonly slices: readonly SliceRow[];
  /** Refills before this moment are in. It never goes back, so no clock refills twice. */
  readonly refilledToMs: number;
  /** Of a steady refill, what came in since `refilledToMs`: the part of a nano-USD that is not due yet is never dropped. */
  readonly refilledSince: number;
  /** The refill in force; null where the budget has none. Rows of the first version do not say. */
  readonly plan?: Refill | null;
  /** Absent where nothing of it is open. */
  readonly lowered?: Lowered;
}

/** What of a balance below zero was not overspent: the budget was lowered after it was spent. */
export interface Lowered {
  readonly amount: number;
  /** The end of the period in which that happened: the next one begins without it. Absent where there are no periods. */
  readonly untilMs?: number;
}

/** Money that one process may spend from memory. */
export interface SliceRow {
  readonly id: string;
  readonly granted: number;
  /** Of it, reported as settled. Never above `granted`: an overrun is granted after the fact, out of the balance. */
  readonly settled: number;
}

/** One slice a process: more processes than a fleet of gateways has. */
export const slicesMax = 1_024;

export function openAccount(budget: Budget, nowMs: number): Account {
  assert(isAmount(budget.capacity), 'a capacity is an amount');
  return {
    opened: budget.capacity,
    refilled: 0,
    balance: budget.capacity,
    spent: 0,
    lost: 0,
    slices: [],
    refilledToMs: Math.floor(nowMs),
    refilledSince: 0,
    plan: budget.refill ?? null,
  };
}

/** Granted, and neither reported nor returned. */
export function leasedOf(account: Account): number {
  return account.slices.reduce((sum, slice) => sum + slice.granted - slice.settled, 0);
}

/** Puts money back. What a lowered budget took is the first that it makes up for. */
export function paidIn(account: Account, amount: number): Account {
  const { lowered, ...rest } = account;
  const paid = { ...rest, balance: account.balance + amount };
  if (lowered === undefined || lowered.amount <= amount) return paid;
  return { ...paid, lowered: { ...lowered, amount: lowered.amount - amount } };
}
