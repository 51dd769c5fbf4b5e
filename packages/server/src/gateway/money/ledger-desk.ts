import type { Result } from '@postern/core/base';
import type { Budget, ReserveRefusal, Till } from '@postern/core/quota';
import { amountMax } from '@postern/core/quota';
import type { BankBatch } from './bank.ts';
import type { Shortage } from './ledger-options.ts';
import { idleMs, recallMsMax, recallsMin } from './ledger-times.ts';
import type { PaidAccount } from './terms.ts';

/** Reservations of the last size for which a busy slice has room besides. */
const aheadReservations = 2;
/** Below so many reservations a second each asks for what it needs: what is leased ahead is lost in a crash. */
const busyPerSecond = 4;

/** What this process knows of one account. */
export interface Desk {
  readonly account: string;
  budget: Budget;
  /** What the till says beyond the slice: money of a slice that others have ended meanwhile; below zero, what the slice knows from before. */
  base: number;
  /** The bank knows the slice. What is reported to one that it does not know is lost. */
  hasSlice: boolean;
  reported: number;
  balance: number;
  lastUsedMs: number;
  /** Reservations are counted within the second that began then. */
  secondMs: number;
  countInSecond: number;
  /** What had been settled when that second began, and which second it was. */
  settledBefore: number;
  settledMs: number;
  lastAmount: number;
  /** The slice has been used since it was last reported. */
  isDirty: boolean;
  isRecalled: boolean;
}

export function newDesk(account: string, budget: Budget, now: number): Desk {
  return {
    account,
    budget,
    base: 0,
    hasSlice: false,
    reported: 0,
    balance: Number.POSITIVE_INFINITY,
    lastUsedMs: now,
    secondMs: now,
    countInSecond: 0,
    settledBefore: 0,
    settledMs: Number.NEGATIVE_INFINITY,
    lastAmount: 0,
    isDirty: false,
    isRecalled: false,
  };
}

/** Of an account whose slice was kept while nobody asked; so much of it was reported. */
export function wakeDesk(desk: Desk, settled: number): Desk {
  return { ...desk, base: -settled, hasSlice: true, reported: settled };
}

/** Nothing is open, nothing to report, and nothing lies idle: all that has to be known is what was reported. */
export function isQuiet(desk: Desk, till: Till, now: number): boolean {
  if (now - desk.lastUsedMs < idleMs || desk.isRecalled) return false;
  const { granted, settled, open } = till.view(desk.account);
  if (open > 0 || settled > granted) return false;
  return !desk.hasSlice || (!desk.isDirty && settled === granted);
}

/** Takes note that a request asks for so much. */
export function noteAsked(
  desk: Desk,
  budget: Budget,
  { amount, now }: { readonly amount: number; readonly now: number },
): void {
  // The configuration in force counts, whoever opened the account.
  desk.budget = budget;
  if (now - desk.secondMs >= 1_000) {
    desk.secondMs = now;
    desk.countInSecond = 0;
  }
  desk.countInSecond += 1;
  desk.lastAmount = amount;
  desk.lastUsedMs = now;
  desk.isDirty = true;
}

/**
 * Does a busy account run low? Then what it would like to have ahead: as much as is reserved now and was spent in this second. Not what was
 * reserved in it, most of which comes back with each settlement: what lies ready when a process is killed is lost.
 */
export function aheadOf(
  desk: Desk,
  till: Till,
): { readonly need: number; readonly want: number } | undefined {
  if (desk.countInSecond < busyPerSecond) return undefined;
  const { usable, settled, held } = till.view(desk.account);
  if (desk.settledMs !== desk.secondMs) {
    desk.settledMs = desk.secondMs;
    desk.settledBefore = settled;
  }
  const free = usable - settled - held;
  const ahead = held + settled - desk.settledBefore + aheadReservations * desk.lastAmount;
  if (free >= ahead / 2 || desk.balance <= 4 * desk.lastAmount) return undefined;
  return { need: 0, want: Math.min(ahead, amountMax) };
}

/** A batch, and the desk that each of its changes is about. */
export interface Sent {
  readonly batch: BankBatch;
  readonly desks: readonly (Desk | undefined)[];
}

/** A request that waits for a lease. */
export interface Waiter {
  readonly accounts: readonly PaidAccount[];
  /** How often others were asked to give back what lies idle, and when first. */
  recalls: number;
  recalledMs: number;
  readonly attempt: () => Result<void, ReserveRefusal>;
  readonly settle: (result: Result<void, Shortage>) => void;
}

/** Takes note that others were asked once more; true where they had their time: what they hold is reserved. */
export function isRecallOver(waiter: Waiter, now: number): boolean {
  if (waiter.recalls === 0) waiter.recalledMs = now;
  waiter.recalls += 1;
  return waiter.recalls > recallsMin && now - waiter.recalledMs >= recallMsMax;
}
