import { assert } from '@postern/core/base';
import { amountMax, isAmount } from './amount.ts';
import type { Budget } from './budget.ts';
import { boundaryIndex, boundaryMs, periodMs } from './budget.ts';

/**
 * The durable side of one account: what the store holds and changes in one transaction. At every moment
 * `opened + refilled = balance + what slices have left + spent + lost`.
 */
export interface Account {
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
  };
}

/** Granted, and neither reported nor returned. */
export function leasedOf(account: Account): number {
  return account.slices.reduce((sum, slice) => sum + slice.granted - slice.settled, 0);
}

/** Puts in what is due by now, up to the capacity. A clock that stepped back changes nothing. */
export function refill(budget: Budget, account: Account, nowMs: number): Account {
  assert(Number.isFinite(nowMs), 'time is a finite number');
  const now = Math.floor(nowMs);
  const plan = budget.refill;
  if (plan === undefined || now <= account.refilledToMs) return account;
  const room = Math.max(0, budget.capacity - account.balance - leasedOf(account));
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
  if (plan.style === 'boundary') {
    const times = Math.ceil(missing / plan.amount);
    return boundaryMs(plan.every, boundaryIndex(plan.every, account.refilledToMs) + times);
  }
  const due = BigInt(missing + account.refilledSince) * BigInt(periodMs[plan.every]);
  const waitMs = (due + BigInt(plan.amount) - 1n) / BigInt(plan.amount);
  return account.refilledToMs + Number(waitMs);
}

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
  const account = refill(budget, before, request.nowMs);
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
    account: {
      ...withSlice(account, { ...row, granted: row.granted - amount }),
      balance: account.balance + amount,
    },
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
      ...account,
      slices: account.slices.filter((slice) => slice.id !== id),
      balance: account.balance + proof.unspent,
      lost: account.lost + left - proof.unspent,
    },
    covered: reported.covered,
  };
}

function withSlice(account: Account, row: SliceRow): Account {
  const others = account.slices.filter((slice) => slice.id !== row.id);
  return { ...account, slices: [...others, row] };
}
