import { assert } from '@postern/core/base';

/** How many requests of one caller are under way. */
export interface Slots {
  readonly inUse: number;
}

/** More open requests than one process can hold sockets for. */
export const slotsMax = 1_000_000;

export const noSlots: Slots = Object.freeze({ inUse: 0 });

/** One more, or undefined where the limit is reached. A limit of 0 admits nobody; one that is no whole number is a bug. */
export function takeSlot(slots: Slots, limit: number): Slots | undefined {
  assert(Number.isSafeInteger(limit) && limit >= 0 && limit <= slotsMax, 'a limit of slots');
  return slots.inUse < limit ? { inUse: slots.inUse + 1 } : undefined;
}

/** One less. Whoever took a slot gives it back once, however the request ended; twice is a bug, since it would admit one too many. */
export function freeSlot(slots: Slots): Slots {
  assert(slots.inUse > 0, 'a slot is given back once');
  return { inUse: slots.inUse - 1 };
}
