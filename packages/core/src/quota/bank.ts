import { amountMax, isAmount } from './amount.ts';
import { accountNow } from './account-now.ts';
import type { Account, SliceRow } from './account.ts';
import { leasedOf, openAccount, paidIn } from './account.ts';
import type { Budget } from './budget.ts';
import type { SliceProof } from './slices.ts';
import { coverSlice, endSlice, leaseSlice, reportSlice, returnIdle } from './slices.ts';

/**
 * What a process asks of the durable side, as data: a store applies it inside one of its own transactions and knows nothing of what it
 * means. Every report is cumulative and every answer says what the slice holds in all, so a process that never saw an answer
 * finds out what became of its question by asking again.
 */
export type BankChange =
  /** Puts money into the slice; opens the account and the slice where they are missing. */
  | {
      readonly kind: 'lease';
      readonly budget: Budget;
      readonly account: string;
      readonly slice: string;
      readonly need: number;
      readonly want: number;
    }
  /** `settled` in all since the slice began. */
  | {
      readonly kind: 'report';
      readonly account: string;
      readonly slice: string;
      readonly settled: number;
    }
  /** Gives back so much that the slice holds `granted` in all; already lower means that it was given back before. */
  | {
      readonly kind: 'return';
      readonly account: string;
      readonly slice: string;
      readonly granted: number;
    }
  /** Makes the slice hold at least `granted` in all, over the balance if need be: what is used and reserved beside an overrun. */
  | {
      readonly kind: 'cover';
      readonly account: string;
      readonly slice: string;
      readonly granted: number;
    }
  | {
      readonly kind: 'end';
      readonly account: string;
      readonly slice: string;
      readonly proof: SliceProof;
    }
  /** An operator puts money in: up to the capacity, or so much, or as much as was left at the beginning of everything. */
  | {
      readonly kind: 'credit';
      readonly budget: Budget;
      readonly account: string;
      readonly amount?: number;
    };

export type BankRefusal =
  | 'bad-amount'
  | 'too-many-slices'
  | 'unknown-account'
  | 'unknown-slice'
  | 'more-than-left';

export type BankOutcome =
  | { readonly kind: 'done' }
  /** Others hold enough: these slices were asked to give back what lies idle. */
  | { readonly kind: 'elsewhere'; readonly slices: readonly string[] }
  | { readonly kind: 'exhausted'; readonly affordableAtMs?: number }
  | { readonly kind: 'refused'; readonly why: BankRefusal };

export interface BankAnswer {
  readonly outcome: BankOutcome;
  /** The asker's slice after the change; absent where it has none. */
  readonly slice?: SliceRow;
  /** What may still be leased from the account. */
  readonly balance: number;
}

export interface BankStep {
  /** What the store writes back; undefined where there is nothing to write. */
  readonly account: Account | undefined;
  readonly answer: BankAnswer;
}

/** Applies one change to an account as the store holds it. Pure: the store supplies the row and its own clock. */
export function applyBankChange(
  before: Account | undefined,
  change: BankChange,
  nowMs: number,
): BankStep {
  switch (change.kind) {
    case 'lease':
      return applyLease(before ?? openAccount(change.budget, nowMs), change, nowMs);
    case 'credit':
      return applyCredit(before ?? openAccount(change.budget, nowMs), change, nowMs);
    case 'report':
    case 'return':
    case 'cover':
    case 'end':
      break;
  }
  if (before === undefined) return refused(before, change, 'unknown-account');
  const changed = changeSlice(before, change);
  return changed.ok
    ? stepOf(changed.account, change, { kind: 'done' })
    : refused(before, change, changed.why);
}

function changeSlice(
  account: Account,
  change: Extract<BankChange, { kind: 'report' | 'return' | 'cover' | 'end' }>,
): ReturnType<typeof reportSlice> {
  if (change.kind === 'report') return reportSlice(account, change.slice, change.settled);
  if (change.kind === 'cover') return coverSlice(account, change.slice, change.granted);
  if (change.kind === 'end') return endSlice(account, change.slice, change.proof);
  const row = account.slices.find((each) => each.id === change.slice);
  if (!isAmount(change.granted)) return { ok: false, why: 'bad-amount' };
  const surplus = row === undefined ? 0 : Math.max(0, row.granted - change.granted);
  return returnIdle(account, change.slice, surplus);
}

function applyLease(
  before: Account,
  change: Extract<BankChange, { kind: 'lease' }>,
  nowMs: number,
): BankStep {
  const lease = leaseSlice(change.budget, before, {
    slice: change.slice,
    need: change.need,
    want: change.want,
    nowMs,
  });
  switch (lease.kind) {
    case 'leased':
      return stepOf(lease.account, change, { kind: 'done' });
    case 'elsewhere':
      return stepOf(lease.account, change, { kind: 'elsewhere', slices: lease.slices });
    case 'exhausted': {
      const { affordableAtMs } = lease;
      return stepOf(lease.account, change, {
        kind: 'exhausted',
        ...(affordableAtMs === undefined ? {} : { affordableAtMs }),
      });
    }
    case 'refused':
      return stepOf(lease.account, change, { kind: 'refused', why: lease.why });
  }
}

function applyCredit(
  before: Account,
  change: Extract<BankChange, { kind: 'credit' }>,
  nowMs: number,
): BankStep {
  const { budget, amount } = change;
  if (amount !== undefined && !isAmount(amount)) return refused(before, change, 'bad-amount');
  const account = accountNow(budget, before, nowMs);
  const room = Math.max(0, budget.capacity - account.balance - leasedOf(account));
  const added = amount ?? room;
  if (account.balance + added > amountMax || account.refilled + added > amountMax)
    return refused(before, change, 'bad-amount');
  const credited = { ...paidIn(account, added), refilled: account.refilled + added };
  return stepOf(credited, change, { kind: 'done' });
}

function refused(account: Account | undefined, change: BankChange, why: BankRefusal): BankStep {
  return stepOf(account, change, { kind: 'refused', why });
}

function stepOf(account: Account | undefined, change: BankChange, outcome: BankOutcome): BankStep {
  const slice =
    change.kind === 'credit' ? undefined : account?.slices.find(({ id }) => id === change.slice);
  const balance = account?.balance ?? 0;
  return { account, answer: { outcome, balance, ...(slice === undefined ? {} : { slice }) } };
}
