/** Sets of nodes as bits by slot. Lengths may differ: what is not there is not in the set. */

export type NodeSet = Uint32Array;

export const emptyNodeSet: NodeSet = new Uint32Array(0);

export function nodeSetOf(slots: Iterable<number>, capacity: number): NodeSet {
  const set = new Uint32Array((capacity + 31) >>> 5);
  for (const slot of slots) set[slot >>> 5] = (set[slot >>> 5] ?? 0) | (1 << (slot & 31));
  return set;
}

export function hasSlot(set: NodeSet, slot: number): boolean {
  return ((set[slot >>> 5] ?? 0) & (1 << (slot & 31))) !== 0;
}

export function withSlot(set: NodeSet, slot: number, isIn: boolean): NodeSet {
  if (hasSlot(set, slot) === isIn) return set;
  const next = new Uint32Array(Math.max(set.length, (slot >>> 5) + 1));
  next.set(set);
  const bit = 1 << (slot & 31);
  const word = next[slot >>> 5] ?? 0;
  next[slot >>> 5] = isIn ? word | bit : word & ~bit;
  return next;
}

export function unionOf(sets: readonly NodeSet[]): NodeSet {
  const [only = emptyNodeSet] = sets;
  if (sets.length <= 1) return only;
  let length = 0;
  for (const set of sets) length = Math.max(length, set.length);
  const out = new Uint32Array(length);
  for (const set of sets)
    for (let i = 0; i < set.length; i += 1) out[i] = (out[i] ?? 0) | (set[i] ?? 0);
  return out;
}

export function intersectionOf(a: NodeSet, b: NodeSet): NodeSet {
  const out = new Uint32Array(Math.min(a.length, b.length));
  for (let i = 0; i < out.length; i += 1) out[i] = (a[i] ?? 0) & (b[i] ?? 0);
  return out;
}

export function differenceOf(a: NodeSet, b: NodeSet): NodeSet {
  const out = new Uint32Array(a.length);
  for (let i = 0; i < out.length; i += 1) out[i] = (a[i] ?? 0) & ~(b[i] ?? 0);
  return out;
}

export function isEmptySet(set: NodeSet): boolean {
  for (const word of set) if (word !== 0) return false;
  return true;
}

/** Whether every node of `inner` is in `outer`. */
export function coversSet(outer: NodeSet, inner: NodeSet): boolean {
  for (let i = 0; i < inner.length; i += 1) {
    if (((inner[i] ?? 0) & ~(outer[i] ?? 0)) !== 0) return false;
  }
  return true;
}

export function overlapsSet(a: NodeSet, b: NodeSet): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) if (((a[i] ?? 0) & (b[i] ?? 0)) !== 0) return true;
  return false;
}

/** Slots in ascending order. */
export function slotsOf(set: NodeSet): readonly number[] {
  const slots: number[] = [];
  for (let i = 0; i < set.length; i += 1) {
    let word = set[i] ?? 0;
    while (word !== 0) {
      const low = word & -word;
      slots.push(i * 32 + (31 - Math.clz32(low)));
      word ^= low;
    }
  }
  return slots;
}

/** Equal sets have equal keys. For maps. */
export function keyOfSet(set: NodeSet): string {
  let end = set.length;
  while (end > 0 && set[end - 1] === 0) end -= 1;
  let key = '';
  for (let i = 0; i < end; i += 1) {
    const word = set[i] ?? 0;
    key += String.fromCharCode(word & 0xffff, word >>> 16);
  }
  return key;
}
