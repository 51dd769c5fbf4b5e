/**
 * @module Rates and slots of one process, in its memory.
 *
 * Promises: `take` is synchronous, so no two requests can both have the last of a limit; keys that are full again are forgotten. Refuses:
 * sharing with other processes (a store in Valkey does that) and surviving a restart: a minute's counts begin anew.
 * Limits: `limitsMemoryKeysMax` keys; past it the half that was used longest ago is forgotten.
 */
import type { Result } from '@postern/core/base';
import { ChurnMap, err, ok } from '@postern/core/base';
import type { RateLimit, RateState } from '@postern/core/quota';
import { correctRate, decide, freshRate, rateHeadroom } from '@postern/core/quota';
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
  #rates = new Map<string, RateState>();
  #before: ReadonlyMap<string, RateState> = new Map();
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
    const states: RateState[] = [];
    const rooms: RateRoom[] = [];
    for (const { key, limit, cost } of ask.rates) {
      const decision = decide(limit, this.#state(key, now), now, cost);
      if (!decision.allowed) {
        const { retryAfterMs } = decision;
        const full = { key, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
        return ok({ isAllowed: false, rooms: this.#rooms(ask.rates, now), full });
      }
      states.push(decision.state);
      rooms.push(roomOf(key, limit, decision.state, now));
    }
    for (let i = 0; i < states.length; i += 1) {
      const [rate, state] = [ask.rates[i], states[i]];
      if (rate !== undefined && state !== undefined) this.#keep(rate.key, state);
    }
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
      if (units !== 0) this.#keep(key, correctRate(limit, this.#state(key, now), now, units));
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

  #state(key: string, now: number): RateState {
    return this.#rates.get(key) ?? this.#before.get(key) ?? freshRate(now);
  }

  #keep(key: string, state: RateState): void {
    this.#rates.set(key, state);
    if (this.#rates.size < limitsMemoryKeysMax / 2) return;
    this.#before = this.#rates;
    this.#rates = new Map();
  }

  #rooms(rates: readonly Omit<RateAsk, 'cost'>[], now: number): RateRoom[] {
    return rates.map(({ key, limit }) => roomOf(key, limit, this.#state(key, now), now));
  }
}

/** How many have one of the slots of a key now. */
interface Slots {
  readonly key: string;
  inUse: number;
}

function roomOf(key: string, limit: RateLimit, state: RateState, now: number): RateRoom {
  const { remaining, resetMs } = rateHeadroom(limit, state, now);
  return { key, remaining, resetMs };
}

const closed = Object.freeze({ kind: 'closed', message: 'The limits were closed.' } as const);
