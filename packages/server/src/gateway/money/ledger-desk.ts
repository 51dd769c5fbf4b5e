import type { Result } from '@postern/core/base';
import type { Budget, ReserveRefusal, Till } from '@postern/core/quota';
import { amountMax } from '@postern/core/quota';
import type { BankBatch } from './bank.ts';
import type { Shortage } from './ledger-options.ts';
import type { PaidAccount } from './terms.ts';

/** A slice is asked for so much of what was reserved in the last second, so that a busy account need not ask often. */
const aheadSeconds = 1;
/** Below so many reservations a second each asks for what it needs: what is leased ahead is lost in a crash. */
const busyPerSecond = 4;

/** What this process knows of one account. */
export interface Desk {
  readonly account: string;
  budget: Budget;
  /** What the till says beyond the slice: money of a slice that others have ended meanwhile. */
  base: number;
  reported: number;
  balance: number;
  lastUsedMs: number;
  /** Reserved within the second that began then. */
  secondMs: number;
  reservedInSecond: number;
  countInSecond: number;
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
    reported: 0,
    balance: Number.POSITIVE_INFINITY,
    lastUsedMs: now,
    secondMs: now,
    reservedInSecond: 0,
    countInSecond: 0,
    lastAmount: 0,
    isDirty: false,
    isRecalled: false,
  };
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
    desk.reservedInSecond = 0;
    desk.countInSecond = 0;
  }
  desk.reservedInSecond += amount;
  desk.countInSecond += 1;
  desk.lastAmount = amount;
  desk.lastUsedMs = now;
  desk.isDirty = true;
}

/** Does a busy account run low? Then what it would like to have ahead. */
export function aheadOf(
  desk: Desk,
  till: Till,
): { readonly need: number; readonly want: number } | undefined {
  if (desk.countInSecond < busyPerSecond) return undefined;
  const { usable, settled, held } = till.view(desk.account);
  const free = usable - settled - held;
  if (free >= desk.reservedInSecond / 2 || desk.balance <= 4 * desk.lastAmount) return undefined;
  return { need: 0, want: Math.min(desk.reservedInSecond * aheadSeconds, amountMax) };
}

/** A batch, and the desk that each of its changes is about. */
export interface Sent {
  readonly batch: BankBatch;
  readonly desks: readonly (Desk | undefined)[];
}

/** A request that waits for a lease. */
export interface Waiter {
  readonly accounts: readonly PaidAccount[];
  readonly sinceMs: number;
  readonly attempt: () => Result<void, ReserveRefusal>;
  readonly settle: (result: Result<void, Shortage>) => void;
}
