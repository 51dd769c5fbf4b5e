import { assert, present } from '@postern/core/base';

/**
 * SHA-256 of bytes, 32 bytes long: passed in, since core has no primitives. Where `into` is given, the hash may be written
 * there and that returned: a writer hashes twice for every record and need not allocate for it.
 */
export type Sha256 = (bytes: Uint8Array, into?: Uint8Array) => Uint8Array;

export const hashBytes = 32;

/** Half-open: leaves `start` up to but not `end`. */
export interface LeafRange {
  readonly start: number;
  readonly end: number;
}

/** RFC 6962 section 2.1: the hash of a leaf is SHA-256(0x00 ‖ data). */
export function leafHash(data: Uint8Array, sha256: Sha256): Uint8Array {
  const input = new Uint8Array(data.length + 1);
  input.set(data, 1);
  return sha256(input);
}

/** RFC 6962 section 2.1: the hash of a node is SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array, sha256: Sha256): Uint8Array {
  const input = new Uint8Array(1 + 2 * hashBytes);
  input[0] = 1;
  input.set(left, 1);
  input.set(right, 1 + hashBytes);
  return sha256(input);
}

/**
 * The right edge of a Merkle tree, from which it grows: one hash for each 1 bit of the size, the largest subtree first.
 * Appending costs one node hash on average and log2(size) memory.
 */
export class TreeEdge {
  readonly #sha256: Sha256;
  /** Hash of the subtree of 2^k leaves at k, of use where that bit of the size is set. Written over, never replaced. */
  readonly #levels: Uint8Array[] = [];
  /** 0x01, left, right. */
  readonly #node = new Uint8Array(1 + 2 * hashBytes);
  readonly #hash = new Uint8Array(hashBytes);
  #size: number;

  constructor(
    sha256: Sha256,
    from: { readonly size: number; readonly hashes: readonly Uint8Array[] } = {
      size: 0,
      hashes: [],
    },
  ) {
    assert(
      from.hashes.length === bitCount(from.size),
      'a tree edge has a hash for each bit of its size',
    );
    this.#sha256 = sha256;
    this.#size = from.size;
    this.#node[0] = 1;
    const hashes = from.hashes.toReversed();
    let at = 0;
    for (const level of levelsOf(from.size)) {
      this.#level(level).set(present(hashes[at], 'a hash for each bit'));
      at += 1;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** What a later `TreeEdge` continues from. */
  get hashes(): readonly Uint8Array[] {
    return levelsOf(this.#size)
      .toReversed()
      .map((level) => this.#level(level).slice());
  }

  append(leaf: Uint8Array): void {
    let hash = leaf;
    let level = 0;
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      this.#node.set(this.#level(level), 1);
      this.#node.set(hash, 1 + hashBytes);
      hash = this.#sha256(this.#node, this.#hash);
      level += 1;
    }
    this.#level(level).set(hash);
    this.#size += 1;
  }

  /** The Merkle tree hash; of no leaves SHA-256 of nothing, as RFC 6962 has it. */
  root(): Uint8Array {
    const [last, ...lefts] = this.hashes.toReversed();
    if (last === undefined) return this.#sha256(new Uint8Array(0));
    let root = last;
    for (const left of lefts) root = nodeHash(left, root, this.#sha256);
    return root;
  }

  #level(level: number): Uint8Array {
    return (this.#levels[level] ??= new Uint8Array(hashBytes));
  }
}

/** The bits that are set, the lowest first. */
function levelsOf(size: number): readonly number[] {
  const levels: number[] = [];
  for (let rest = size, level = 0; rest > 0; rest = Math.floor(rest / 2), level += 1) {
    if (rest % 2 === 1) levels.push(level);
  }
  return levels;
}

export function bitCount(size: number): number {
  let bits = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits;
}

/** The largest power of two below `count`, which is at least 2. */
function split(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

/** RFC 6962 section 2.1.1: the subtrees whose hashes prove that leaf `index` (from 0) is in a tree of `size`. */
export function inclusionRanges(index: number, size: number): readonly LeafRange[] {
  assert(index >= 0 && index < size, 'an inclusion proof is about a leaf of the tree');
  const ranges: LeafRange[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  return ranges.toReversed();
}

/** RFC 6962 section 2.1.2: the subtrees whose hashes prove that a tree of `size` continues one of `older`. */
export function consistencyRanges(older: number, size: number): readonly LeafRange[] {
  assert(older > 0 && older <= size, 'a consistency proof is between two trees that are not empty');
  const ranges: LeafRange[] = [];
  let start = 0;
  let end = size;
  while (older !== end) {
    const middle = start + split(end - start);
    if (older <= middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  // The older tree itself is what the verifier has; a part of it is not.
  if (start > 0) ranges.push({ start, end });
  return ranges.toReversed();
}

/** Hashes of some ranges, computed while the leaves go by once, in order. */
export class RangeHasher {
  readonly #edges: readonly { readonly range: LeafRange; readonly edge: TreeEdge }[];
  #next = 0;

  constructor(ranges: readonly LeafRange[], sha256: Sha256) {
    this.#edges = ranges.map((range) => ({ range, edge: new TreeEdge(sha256) }));
  }

  append(leaf: Uint8Array): void {
    for (const { range, edge } of this.#edges) {
      if (this.#next >= range.start && this.#next < range.end) edge.append(leaf);
    }
    this.#next += 1;
  }

  /** In the order of the ranges; undefined when leaves are missing. */
  hashes(): readonly Uint8Array[] | undefined {
    const isWhole = this.#edges.every(({ range, edge }) => edge.size === range.end - range.start);
    return isWhole ? this.#edges.map(({ edge }) => edge.root()) : undefined;
  }
}

export interface InclusionClaim {
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly proof: readonly Uint8Array[];
}

/** The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2), or undefined where it cannot be one. */
export function rootOfInclusion(claim: InclusionClaim, sha256: Sha256): Uint8Array | undefined {
  const { leaf, index, size, proof } = claim;
  if (!isCount(index) || !isCount(size) || index >= size) return undefined;
  let fn = index;
  let sn = size - 1;
  let hash = leaf;
  for (const step of proof) {
    if (sn === 0 || step.length !== hashBytes) return undefined;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(step, hash, sha256);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else {
      hash = nodeHash(hash, step, sha256);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 ? hash : undefined;
}

export interface ConsistencyClaim {
  readonly older: { readonly size: number; readonly root: Uint8Array };
  readonly newer: { readonly size: number; readonly root: Uint8Array };
  readonly proof: readonly Uint8Array[];
}

/** Whether the newer tree continues the older one (RFC 9162 section 2.1.4.2). */
export function isConsistent(claim: ConsistencyClaim, sha256: Sha256): boolean {
  const { older, newer, proof } = claim;
  if (!isCount(older.size) || !isCount(newer.size) || older.size === 0) return false;
  if (older.size > newer.size) return false;
  if (older.size === newer.size) return proof.length === 0 && isSame(older.root, newer.root);
  const isPower = bitCount(older.size) === 1;
  const [first, ...rest] = isPower ? [older.root, ...proof] : proof;
  if (first === undefined) return false;
  let fn = older.size - 1;
  let sn = newer.size - 1;
  while (fn % 2 === 1) {
    fn = (fn - 1) / 2;
    sn = Math.floor(sn / 2);
  }
  let oldHash = first;
  let newHash = first;
  for (const step of rest) {
    if (sn === 0 || step.length !== hashBytes) return false;
    if (fn % 2 === 1 || fn === sn) {
      oldHash = nodeHash(step, oldHash, sha256);
      newHash = nodeHash(step, newHash, sha256);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else {
      newHash = nodeHash(newHash, step, sha256);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && isSame(oldHash, older.root) && isSame(newHash, newer.root);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
