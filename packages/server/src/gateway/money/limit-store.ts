import type { RateLimit } from '@postern/core/quota';
import type { Result } from '@postern/core/base';
import type { BankFailure } from './bank.ts';

/** One rate that a request counts under. Keys are made by the gateway: limit, kind and subject. */
export interface RateAsk {
  readonly key: string;
  readonly limit: RateLimit;
  /** Units: 1 for requests, an estimate for tokens. Never above the burst. */
  readonly cost: number;
}

/** Requests at a time. */
export interface SlotAsk {
  readonly key: string;
  readonly max: number;
}

export interface LimitAsk {
  /** Unique among all processes: what gives the slots back. */
  readonly holder: string;
  readonly rates: readonly RateAsk[];
  readonly slots: readonly SlotAsk[];
}

/** How much of a rate is left, for the headers of the answer. */
export interface RateRoom {
  readonly key: string;
  readonly remaining: number;
  readonly resetMs: number;
}

export interface LimitAnswer {
  readonly isAllowed: boolean;
  /** Of every rate asked, in order. */
  readonly rooms: readonly RateRoom[];
  /** The key that was too full; `retryAfterMs` is absent for slots, which nobody can tell the end of. */
  readonly full?: { readonly key: string; readonly retryAfterMs?: number };
}

/** Corrects a rate once the real cost is known: more, or, negative, less. */
export interface RateCorrection {
  readonly key: string;
  readonly limit: RateLimit;
  readonly units: number;
}

/**
 * Counts of requests, tokens and requests at a time. In memory for one process, in Valkey for several; what is lost with it is a
 * minute's counts and never money. A store in memory answers at once, hence the bare values.
 */
export interface LimitStore {
  /** All of them or none: what one refuses is not counted under another. Side by side, room for k admits k. */
  take(ask: LimitAsk): Result<LimitAnswer, BankFailure> | Promise<Result<LimitAnswer, BankFailure>>;
  /** Ends a request: its slots are free again, its rates corrected. Never fails: what cannot be said now is said later or lapses. */
  settle(holder: string, corrections: readonly RateCorrection[]): void;
  /** What is left now, without taking any of it. */
  look(
    rates: readonly Omit<RateAsk, 'cost'>[],
    slots: readonly SlotAsk[],
  ): Promise<
    Result<{ readonly rooms: readonly RateRoom[]; readonly inUse: readonly number[] }, BankFailure>
  >;
  close(): Promise<void>;
}

/** Slots of a process that died lapse after this long without a sign of life of theirs; a live holder renews them in time. */
export const slotLeaseMs = 30_000;
/** Rates and slots of one request. */
export const limitKeysMax = 64;
