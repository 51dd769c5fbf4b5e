import { assert } from '@postern/core/base';
import type { Account, SliceRow } from './account.ts';
import { accountNow } from './account-now.ts';
import { paidIn, slicesMax } from './account.ts';
import { amountMax, isAmount } from './amount.ts';
import type { Budget } from './budget.ts';
import { affordableAtMs } from './refill.ts';

export interface LeaseRequest {
  readonly slice: string;
  /** Without this much the request at hand cannot go on. */
  readonly need: number;
  /** What the process would like, so that it need not ask again soon. */
  readonly want: number;
  readonly nowMs: number;
}

export type Lease =
  | { readonly kind: 'leased'; readonly account: Account; readonly granted: number }
  /**
   * Others hold enough: ask these slices to give back what lies idle, then ask again. Where they gave nothing back, all of it is
   * reserved, and the request is refused.
   */
  | { readonly kind: 'elsewhere'; readonly account: Account; readonly slices: readonly string[] }
  | { readonly kind: 'exhausted'; readonly account: Account; readonly affordableAtMs?: number }
  | {
      readonly kind: 'refused';
      readonly account: Account;
      readonly why: 'bad-amount' | 'too-many-slices';
    };

/** Of what is there, one lease takes more than it needs only up to this part: slices shrink towards the end. */
const leaseShare = 4;

/**
 * Moves money from the balance into a process's slice, or tops that slice up. Near the limit it grants exactly what the request
 * needs, so that little lies idle elsewhere when the last requests come.
 */
export function leaseSlice(budget: Budget, before: Account, request: LeaseRequest): Lease {
  const account = accountNow(budget, before, request.nowMs);
  const { need, want } = request;
  if (!isAmount(need) || !isAmount(want)) return { kind: 'refused', account, why: 'bad-amount' };
  const own = account.slices.find((slice) => slice.id === request.slice);
  if (own === undefined && account.slices.length >= slicesMax)
    return { kind: 'refused', account, why: 'too-many-slices' };
  // Nothing is always to be had: it opens the slice through which an overrun is reported.
  if (need > 0 && account.balance < need) {
    const others = account.slices.filter((slice) => slice !== own && slice.granted > slice.settled);
    const held = others.reduce((sum, slice) => sum + slice.granted - slice.settled, 0);
    if (account.balance + held >= need)
      return { kind: 'elsewhere', account, slices: others.map((slice) => slice.id) };
    const atMs = affordableAtMs(budget, account, need);
    return { kind: 'exhausted', account, ...(atMs === undefined ? {} : { affordableAtMs: atMs }) };
  }
  const share = Math.max(0, Math.floor(account.balance / leaseShare));
  const granted = Math.max(need, Math.min(want, share));
  const row = own ?? { id: request.slice, granted: 0, settled: 0 };
  return {
    kind: 'leased',
    account: {
      ...withSlice(account, { ...row, granted: row.granted + granted }),
      balance: account.balance - granted,
    },
    granted,
  };
}

/** `unknown-slice`: it has ended and is accounted for, so a process that hears this of its own slice stops spending from it. */
export type SliceRefusal = 'unknown-slice' | 'bad-amount' | 'more-than-left';

export type SliceChange =
  /** `covered` was granted after the fact for an overrun; the process adds it to its till. */
  | { readonly ok: true; readonly account: Account; readonly covered: number }
  | { readonly ok: false; readonly why: SliceRefusal };

/**
 * A process reports what it has settled in all since the slice began. Cumulative, so a report that comes twice or late counts once. What
 * exceeds the grant is charged to the balance, which may then be below zero: nothing that was used is dropped.
 */
export function reportSlice(account: Account, id: string, settledInAll: number): SliceChange {
  const row = account.slices.find((slice) => slice.id === id);
  if (row === undefined) return { ok: false, why: 'unknown-slice' };
  if (!isAmount(settledInAll)) return { ok: false, why: 'bad-amount' };
  const fresh = settledInAll - row.settled;
  if (fresh <= 0) return { ok: true, account, covered: 0 };
  const overrun = Math.max(0, settledInAll - row.granted);
  if (account.spent + fresh > amountMax) return { ok: false, why: 'bad-amount' };
  return {
    ok: true,
    account: {
      ...withSlice(account, {
        ...row,
        granted: row.granted + overrun,
        settled: settledInAll,
      }),
      balance: account.balance - overrun,
      spent: account.spent + fresh,
    },
    covered: overrun,
  };
}

/** A process gives back what it no longer counts as its own. It has taken it out of its till before it says so. */
export function returnIdle(account: Account, id: string, amount: number): SliceChange {
  const row = account.slices.find((slice) => slice.id === id);
  if (row === undefined) return { ok: false, why: 'unknown-slice' };
  if (!isAmount(amount)) return { ok: false, why: 'bad-amount' };
  if (amount > row.granted - row.settled) return { ok: false, why: 'more-than-left' };
  return {
    ok: true,
    account: paidIn(withSlice(account, { ...row, granted: row.granted - amount }), amount),
    covered: 0,
  };
}

/**
 * Raises what a slice holds to so much in all, over the balance if need be: an overrun used money that other requests had reserved, and
 * after a crash they must still be counted.
 */
export function coverSlice(account: Account, id: string, grantedInAll: number): SliceChange {
  const row = account.slices.find((slice) => slice.id === id);
  if (row === undefined) return { ok: false, why: 'unknown-slice' };
  if (!isAmount(grantedInAll)) return { ok: false, why: 'bad-amount' };
  const covered = Math.max(0, grantedInAll - row.granted);
  return {
    ok: true,
    account: {
      ...withSlice(account, { ...row, granted: row.granted + covered }),
      balance: account.balance - covered,
    },
    covered,
  };
}

/** What the durable record of a process that is gone shows. */
export interface SliceProof {
  /** Settled in all, by the records that survived. */
  readonly settled: number;
  /** Proven never to have been reserved. Everything between the two counts as spent. */
  readonly unspent: number;
}

/**
 * Ends a slice. After a clean stop the proof covers all of it; after a crash the part that nothing proves is lost: open reservations
 * count as spent. What the process reports afterwards is refused, for it is counted already.
 */
export function endSlice(before: Account, id: string, proof: SliceProof): SliceChange {
  const reported = reportSlice(before, id, proof.settled);
  if (!reported.ok) return reported;
  const { account } = reported;
  const row = account.slices.find((slice) => slice.id === id);
  assert(row !== undefined, 'a slice that was reported is there');
  if (!isAmount(proof.unspent)) return { ok: false, why: 'bad-amount' };
  const left = row.granted - row.settled;
  if (proof.unspent > left) return { ok: false, why: 'more-than-left' };
  return {
    ok: true,
    account: {
      ...paidIn(account, proof.unspent),
      slices: account.slices.filter((slice) => slice.id !== id),
      lost: account.lost + left - proof.unspent,
    },
    covered: reported.covered,
  };
}

function withSlice(account: Account, row: SliceRow): Account {
  const others = account.slices.filter((slice) => slice.id !== row.id);
  return { ...account, slices: [...others, row] };
}
