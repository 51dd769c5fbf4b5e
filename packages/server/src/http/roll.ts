/** Something on a roll. */
export interface Rolled {
  /** Its place there; only the roll writes it. -1: on none. */
  place: number;
}

/**
 * Those that are under way now, in no order. Not a Set: one that is added to and deleted from with every request is
 * written anew every few dozen of them, and each table that it leaves behind refers to the next, so that once one of
 * them is old all that was ever in the others is kept until the next collection of everything.
 */
export class Roll<T extends Rolled> {
  readonly #all: T[] = [];

  get size(): number {
    return this.#all.length;
  }

  add(one: T): void {
    one.place = this.#all.length;
    this.#all.push(one);
  }

  /** The last one takes the place of the one that leaves. Nothing happens to one that is not here. */
  delete(one: T): void {
    const { place } = one;
    if (place === -1) return;
    const last = this.#all.pop();
    one.place = -1;
    if (last === undefined || last === one) return;
    this.#all[place] = last;
    last.place = place;
  }

  /** Each of them, from the last to the first: the one that is looked at may leave. */
  each(look: (one: T) => void): void {
    for (let at = this.#all.length - 1; at >= 0; at -= 1) {
      const one = this.#all[at];
      if (one !== undefined) look(one);
    }
  }
}
