import { assert } from '@postern/core/base';

/**
 * The generic cell rate algorithm as a leaky bucket, in integers: a backlog that drains at the limit's rate and may
 * never pass the burst. No windows, hence no window edge at which twice the limit fits.
 * Source: ITU-T I.371 (the two forms admit the same requests).
 */
export interface RateLimit {
  /** Requests or tokens a period. */
  readonly units: number;
  readonly periodMs: number;
  /** What may come at once after a pause. */
  readonly burst: number;
}

/** One caller's place under one limit. `backlog` is in units × periodMs, of which `units` drain a millisecond. */
export interface RateState {
  readonly backlog: number;
  readonly atMs: number;
}

export type RateDecision =
  | { readonly allowed: true; readonly state: RateState }
  /** Without `retryAfterMs` it will never be allowed: it costs more than the burst, or is no amount. */
  | { readonly allowed: false; readonly state: RateState; readonly retryAfterMs?: number };

/** Burst × period: the backlog stays exact with room for the arrears. */
export const backlogMax = 140_000_000_000_000;
/** How many bursts a caller may owe after corrections: bounds how long it waits. */
export const arrearsBurstsMax = 16;
/** The longest period, 31 days. */
export const periodMsMax = 31 * 86_400_000;

/** Why this is no limit, or undefined. Check once, when the configuration is read. */
export function rateLimitFault(limit: RateLimit): string | undefined {
  const { units, periodMs, burst } = limit;
  if (![units, periodMs, burst].every((value) => Number.isSafeInteger(value) && value > 0))
    return 'units, period and burst are whole numbers above zero';
  if (periodMs > periodMsMax) return 'the period is at most 31 days';
  if (burst * periodMs > backlogMax || units > backlogMax)
    return `burst × periodMs and units are at most ${backlogMax}`;
  return undefined;
}

/** Where a caller starts: with its whole burst. */
export function freshRate(nowMs: number): RateState {
  return { backlog: 0, atMs: whole(nowMs) };
}

/**
 * May this cost come now? The state of the answer replaces the old one, also after a refusal. A clock that steps back drains nothing and
 * becomes the new reference: it neither grants anything nor locks anybody out until it has caught up.
 */
export function decide(
  limit: RateLimit,
  before: RateState,
  nowMs: number,
  cost: number,
): RateDecision {
  const state = drained(limit, before, nowMs);
  const capacity = limit.burst * limit.periodMs;
  if (!Number.isSafeInteger(cost) || cost < 0 || cost > limit.burst)
    return { allowed: false, state };
  const backlog = state.backlog + cost * limit.periodMs;
  if (cost === 0 || backlog <= capacity)
    return { allowed: true, state: { backlog, atMs: state.atMs } };
  return { allowed: false, state, retryAfterMs: Math.ceil((backlog - capacity) / limit.units) };
}

/**
 * Charges more (or, negative, gives back) once the real cost is known. It always succeeds, since what is used is used: the caller then owes and
 * waits longer, up to `arrearsBurstsMax` bursts.
 */
export function correctRate(
  limit: RateLimit,
  before: RateState,
  nowMs: number,
  units: number,
): RateState {
  assert(!Number.isNaN(units), 'a correction is a number');
  const state = drained(limit, before, nowMs);
  const owed = state.backlog + Math.trunc(units) * limit.periodMs;
  return { backlog: Math.min(Math.max(owed, 0), mostOwed(limit)), atMs: state.atMs };
}

/** The largest backlog. */
export function mostOwed({ burst, periodMs }: RateLimit): number {
  return burst * periodMs * arrearsBurstsMax;
}

/** For the rate headers: how many units could come now, and when the whole burst is back. */
export function rateHeadroom(
  limit: RateLimit,
  before: RateState,
  nowMs: number,
): { readonly remaining: number; readonly resetMs: number } {
  const { backlog } = drained(limit, before, nowMs);
  const free = limit.burst * limit.periodMs - backlog;
  return {
    remaining: Math.max(0, Math.floor(free / limit.periodMs)),
    resetMs: Math.ceil(backlog / limit.units),
  };
}

function drained(limit: RateLimit, before: RateState, nowMs: number): RateState {
  const atMs = whole(nowMs);
  const elapsedMs = Math.max(0, atMs - before.atMs);
  // Past 2⁵³ the product is rounded, but then it is far above any backlog; below, it is exact.
  const gone = elapsedMs * limit.units;
  // A limit that was lowered since: nobody waits for longer than for what can be owed under it.
  const backlog = Math.min(before.backlog, mostOwed(limit));
  return { backlog: gone >= backlog ? 0 : backlog - gone, atMs };
}

function whole(nowMs: number): number {
  assert(Number.isFinite(nowMs), 'time is a finite number');
  return Math.floor(nowMs);
}
