/**
 * @module Rates and slots of one process, in its memory.
 *
 * Promises: `take` is synchronous, so no two requests can both have the last of a limit; keys that are full again are forgotten. Refuses:
 * sharing with other processes (a store in Valkey does that) and surviving a restart: a minute's counts begin anew.
 * Limits: `limitsMemoryKeysMax` keys; past it the half that was used longest ago is forgotten.
 */
import type { Result } from '@postern/core/base';
import { ChurnMap, err, ok } from '@postern/core/base';
import type { RateLimit } from '@postern/core/quota';
import { RateBucket } from '@postern/core/quota';
import type {
  LimitAnswer,
  LimitAsk,
  LimitStore,
  RateAsk,
  RateCorrection,
  RateRoom,
  SlotAsk,
} from '../../gateway/money/limit-store.ts';

/** Callers times limits: some 100 MB at the worst. */
export const limitsMemoryKeysMax = 500_000;

export function createMemoryLimits(options: { readonly nowMs: () => number }): LimitStore {
  return new MemoryLimits(options.nowMs);
}

class MemoryLimits implements LimitStore {
  readonly #nowMs: () => number;
  /** What was used lately; in `#before`, what was used since the half before it was forgotten. */
  #rates = new Map<string, RateBucket>();
  #before: ReadonlyMap<string, RateBucket> = new Map();
  readonly #inUse = new ChurnMap<Slots>();
  /** What each open request has one slot of. */
  readonly #holders = new ChurnMap<readonly Slots[]>();
  #isClosed = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  take(ask: LimitAsk): Result<LimitAnswer, { kind: 'closed'; message: string }> {
    if (this.#isClosed) return err(closed);
    const now = this.#nowMs();
    const blocked = ask.slots.find((slot) => (this.#inUse.get(slot.key)?.inUse ?? 0) >= slot.max);
    if (blocked !== undefined)
      return ok({
        isAllowed: false,
        rooms: this.#rooms(ask.rates, now),
        full: { key: blocked.key },
      });
    let full: { readonly key: string; readonly againMs: number } | undefined;
    for (const { key, limit, cost } of ask.rates) {
      const refusal = this.#bucket(key, now).refusal(limit, now, cost);
      if (refusal === undefined) continue;
      // Of several, the one that has room last: before that, the request is refused again.
      const againMs = refusal.retryAfterMs ?? Number.POSITIVE_INFINITY;
      if (full === undefined || againMs > full.againMs) full = { key, againMs };
    }
    if (full !== undefined) {
      const { key, againMs } = full;
      const retry = Number.isFinite(againMs) ? { retryAfterMs: againMs } : {};
      return ok({
        isAllowed: false,
        rooms: this.#rooms(ask.rates, now),
        full: { key, ...retry },
      });
    }
    const rooms = ask.rates.map(({ key, limit, cost }) => {
      const bucket = this.#bucket(key, now);
      bucket.count(limit, cost);
      return roomOf(key, limit, bucket, now);
    });
    if (ask.slots.length > 0) this.#holders.set(ask.holder, ask.slots.map(this.#oneMore));
    return ok({ isAllowed: true, rooms });
  }

  readonly #oneMore = ({ key }: SlotAsk): Slots => {
    let slots = this.#inUse.get(key);
    if (slots === undefined) {
      slots = { key, inUse: 0 };
      this.#inUse.set(key, slots);
    }
    slots.inUse += 1;
    return slots;
  };

  settle(holder: string, corrections: readonly RateCorrection[]): void {
    const now = this.#nowMs();
    for (const { key, limit, units } of corrections)
      if (units !== 0) this.#bucket(key, now).correct(limit, now, units);
    const held = this.#holders.get(holder);
    if (held === undefined) return;
    for (const slots of held) {
      slots.inUse -= 1;
      if (slots.inUse === 0) this.#inUse.delete(slots.key);
    }
    this.#holders.delete(holder);
  }

  look(
    rates: readonly Omit<RateAsk, 'cost'>[],
    slots: readonly SlotAsk[],
  ): ReturnType<LimitStore['look']> {
    if (this.#isClosed) return Promise.resolve(err(closed));
    return Promise.resolve(
      ok({
        rooms: this.#rooms(rates, this.#nowMs()),
        inUse: slots.map(({ key }) => this.#inUse.get(key)?.inUse ?? 0),
      }),
    );
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  #bucket(key: string, now: number): RateBucket {
    const lately = this.#rates.get(key);
    if (lately !== undefined) return lately;
    const bucket = this.#before.get(key) ?? new RateBucket(now);
    if (this.#rates.size >= limitsMemoryKeysMax / 2) {
      this.#before = this.#rates;
      this.#rates = new Map();
    }
    this.#rates.set(key, bucket);
    return bucket;
  }

  #rooms(rates: readonly Omit<RateAsk, 'cost'>[], now: number): RateRoom[] {
    return rates.map(({ key, limit }) => {
      const bucket = this.#rates.get(key) ?? this.#before.get(key) ?? new RateBucket(now);
      return roomOf(key, limit, bucket, now);
    });
  }
}

/** How many have one of the slots of a key now. */
interface Slots {
  readonly key: string;
  inUse: number;
}

function roomOf(key: string, limit: RateLimit, bucket: RateBucket, now: number): RateRoom {
  const { remaining, resetMs } = bucket.room(limit, now);
  return { key, remaining, resetMs };
}

const closed = Object.freeze({ kind: 'closed', message: 'The limits were closed.' } as const);
