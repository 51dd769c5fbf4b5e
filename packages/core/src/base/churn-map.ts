import { assert } from './assert.ts';

/**
 * A map for keys that come and go, such as of what is open now: as a Map of texts without its order. In V8 a Map whose entries are
 * deleted and added makes its table anew every few of them, and each old table points to the next: once one of them is in the old
 * space, which happens by chance, all tables after it and whatever they held survive every quick round of the collector. Measured
 * with an object of 1 kB per key: rounds of 25 ms instead of 0.5. Here a table is made anew only when it grows or shrinks.
 *
 * Open addressing with linear probing; deletion moves later entries back, so that no markers are left. Hashes are FNV-1a.
 */
export class ChurnMap<V> {
  #keys: (string | undefined)[] = emptySlots(capacityMin);
  #values: (V | undefined)[] = emptySlots(capacityMin);
  #size = 0;
  /** The key that was asked for last and where it is or would be: mostly it is asked for again at once, to set or delete it. */
  #lastKey: string | undefined;
  #lastSlot = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    return this.#values[this.#slotOf(key)];
  }

  has(key: string): boolean {
    return this.#keys[this.#slotOf(key)] !== undefined;
  }

  set(key: string, value: V): void {
    const slot = this.#slotOf(key);
    this.#values[slot] = value;
    if (this.#keys[slot] !== undefined) return;
    this.#keys[slot] = key;
    this.#size += 1;
    this.#lastKey = undefined;
    if (this.#size * 2 > this.#keys.length) this.#resize(this.#keys.length * 2);
  }

  delete(key: string): boolean {
    const slot = this.#slotOf(key);
    if (this.#keys[slot] === undefined) return false;
    this.#empty(slot);
    this.#size -= 1;
    this.#lastKey = undefined;
    const capacity = this.#keys.length;
    if (capacity > capacityMin && this.#size * 8 < capacity) this.#resize(capacity / 2);
    return true;
  }

  /** In no order that means anything. */
  keys(): string[] {
    return this.#keys.filter((key) => key !== undefined);
  }

  /** All of it as it is now, whatever comes or goes meanwhile. */
  [Symbol.iterator](): Iterator<readonly [string, V]> {
    const entries = this.#keys.flatMap((key, at): (readonly [string, V])[] => {
      // A slot with a key has its value.
      return key === undefined ? [] : [[key, this.#values[at] as V]];
    });
    return entries.values();
  }

  /** Where the key is, or the free slot where it would be. */
  #slotOf(key: string): number {
    if (key === this.#lastKey) return this.#lastSlot;
    const keys = this.#keys;
    const mask = keys.length - 1;
    let slot = hashOf(key) & mask;
    for (;;) {
      const there = keys[slot];
      if (there === undefined || there === key) break;
      slot = (slot + 1) & mask;
    }
    this.#lastKey = key;
    this.#lastSlot = slot;
    return slot;
  }

  /** Frees a slot, and moves back those behind it that it stood in the way of. */
  #empty(from: number): void {
    const [keys, values] = [this.#keys, this.#values];
    const mask = keys.length - 1;
    let hole = from;
    let at = hole;
    for (;;) {
      at = (at + 1) & mask;
      const key = keys[at];
      if (key === undefined) break;
      const home = hashOf(key) & mask;
      // Between its home and where it stands there must be no hole.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      keys[hole] = key;
      values[hole] = values[at];
      hole = at;
    }
    keys[hole] = undefined;
    values[hole] = undefined;
  }

  #resize(capacity: number): void {
    assert(capacity >= capacityMin && this.#size * 2 <= capacity, 'a table has room');
    const [keys, values] = [this.#keys, this.#values];
    this.#keys = emptySlots(capacity);
    this.#values = emptySlots(capacity);
    keys.forEach((key, at) => {
      if (key === undefined) return;
      const slot = this.#slotOf(key);
      this.#keys[slot] = key;
      this.#values[slot] = values[at];
    });
    this.#lastKey = undefined;
  }
}

/** A power of two, as every capacity is. Some 8 kB, so that what comes and goes by the hundred makes no table anew. */
const capacityMin = 512;

function emptySlots<T>(count: number): (T | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}

function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  }
  return hash ^ (hash >>> 15);
}
