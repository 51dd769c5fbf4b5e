import { assert } from '../base/index.ts';

/** What waits, and for whom. */
export interface Ticket<T> {
  readonly owner: string;
  readonly item: T;
}

export type Enqueued<T> =
  | { readonly kind: 'waits'; readonly ticket: Ticket<T>; readonly evicted: Ticket<T> | undefined }
  | { readonly kind: 'full' };

/**
 * A short queue that is fair between owners: who waits longest of the owner whose turn it is comes next, and owners
 * take turns. Nobody keeps others out by filling it: in a full queue a newcomer takes the place of the last one of
 * whoever has the most waiting, if that is at least two more than the newcomer has.
 */
export class FairQueue<T> {
  readonly #lengthMax: () => number;
  /** In the order of turns; an owner without tickets has no lane. */
  readonly #lanes = new Map<string, Ticket<T>[]>();
  #length = 0;

  /** `lengthMax` is asked each time: a configuration may change while callers wait. */
  constructor(lengthMax: () => number) {
    this.#lengthMax = lengthMax;
  }

  get length(): number {
    return this.#length;
  }

  add(owner: string, item: T): Enqueued<T> {
    let evicted: Ticket<T> | undefined;
    if (this.#length >= this.#lengthMax()) {
      evicted = this.#makeRoomFor(owner);
      if (evicted === undefined) return { kind: 'full' };
    }
    const ticket = { owner, item };
    const lane = this.#lanes.get(owner);
    if (lane === undefined) this.#lanes.set(owner, [ticket]);
    else lane.push(ticket);
    this.#length += 1;
    return { kind: 'waits', ticket, evicted };
  }

  /** Whose turn it is; its owner goes to the end of the line of owners. */
  take(): Ticket<T> | undefined {
    const [turn] = this.#lanes;
    if (turn === undefined) return undefined;
    const [owner, lane] = turn;
    const ticket = lane.shift();
    assert(ticket !== undefined, 'a lane holds a ticket');
    this.#lanes.delete(owner);
    if (lane.length > 0) this.#lanes.set(owner, lane);
    this.#length -= 1;
    return ticket;
  }

  /** False where it waits no more. */
  remove(ticket: Ticket<T>): boolean {
    const lane = this.#lanes.get(ticket.owner);
    const at = lane?.indexOf(ticket) ?? -1;
    if (lane === undefined || at < 0) return false;
    lane.splice(at, 1);
    if (lane.length === 0) this.#lanes.delete(ticket.owner);
    this.#length -= 1;
    return true;
  }

  #makeRoomFor(owner: string): Ticket<T> | undefined {
    let longest: Ticket<T>[] = [];
    for (const lane of this.#lanes.values()) if (lane.length > longest.length) longest = lane;
    const own = this.#lanes.get(owner)?.length ?? 0;
    const last = longest.at(-1);
    if (last === undefined || longest.length < own + 2) return undefined;
    this.remove(last);
    return last;
  }
}
