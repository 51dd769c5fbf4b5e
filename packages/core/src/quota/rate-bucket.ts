import type { RateLimit } from './gcra.ts';
import { freshRate, mostOwed, rateHeadroom } from './gcra.ts';

/**
 * One caller's place under one limit in the memory of a process: `decide`, `correctRate` and `rateHeadroom` with a state that is
 * changed in place, since every request comes by here.
 */
export class RateBucket {
  #backlog = 0;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = freshRate(nowMs).atMs;
  }

  /**
   * Why this may not come now; undefined where it may, and then nothing of it is counted yet. Without `retryAfterMs` it never may.
   */
  refusal(
    limit: RateLimit,
    nowMs: number,
    cost: number,
  ): { readonly retryAfterMs: number | undefined } | undefined {
    this.#drain(limit, nowMs);
    if (!Number.isSafeInteger(cost) || cost < 0 || cost > limit.burst) return never;
    const over = this.#backlog + cost * limit.periodMs - limit.burst * limit.periodMs;
    if (cost === 0 || over <= 0) return undefined;
    return { retryAfterMs: Math.ceil(over / limit.units) };
  }

  /** Counts what was not refused in this moment. */
  count(limit: RateLimit, cost: number): void {
    this.#backlog += cost * limit.periodMs;
  }

  /** Charges more, or, negative, gives back. */
  correct(limit: RateLimit, nowMs: number, units: number): void {
    this.#drain(limit, nowMs);
    const owed = this.#backlog + Math.trunc(units) * limit.periodMs;
    this.#backlog = Math.min(Math.max(owed, 0), mostOwed(limit));
  }

  room(limit: RateLimit, nowMs: number): { readonly remaining: number; readonly resetMs: number } {
    return rateHeadroom(limit, { backlog: this.#backlog, atMs: this.#atMs }, nowMs);
  }

  #drain(limit: RateLimit, nowMs: number): void {
    const atMs = Math.floor(nowMs);
    const gone = Math.max(0, atMs - this.#atMs) * limit.units;
    const backlog = Math.min(this.#backlog, mostOwed(limit));
    this.#backlog = gone >= backlog ? 0 : backlog - gone;
    this.#atMs = atMs;
  }
}

const never = Object.freeze({ retryAfterMs: undefined });
