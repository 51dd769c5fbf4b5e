/** Sets of addresses: sorted disjoint ranges, binary search for membership, linear merges for the algebra. */
import { present } from '../assert.ts';
import { type Addr, addrOfKey, firstKey4, firstKey6, lastKey4, lastKey6 } from './addr.ts';
import type { Prefix } from './prefix.ts';
import { type AddrRange, formatRange, rangeOfPrefix, rangePrefixes } from './range.ts';

/**
 * An immutable set of addresses of both families. Addresses with a zone are in no set. Made by `ipSetOf` and
 * its siblings. Operations return one of their operands where the result equals it, so identity can be
 * used as a cheap first test for equality.
 */
export class IpSet {
  /** first, last, first, last … ascending; neighbours that touch are one range. */
  readonly #bounds: readonly bigint[];
  #key: string | undefined;

  constructor(bounds: readonly bigint[]) {
    this.#bounds = bounds;
  }

  get isEmpty(): boolean {
    return this.#bounds.length === 0;
  }

  get rangeCount(): number {
    return this.#bounds.length / 2;
  }

  containsAddr(addr: Addr): boolean {
    return addr.zone === '' && this.#covers(addr.key, addr.key);
  }

  containsRange(range: AddrRange): boolean {
    return this.#covers(range.first.key, range.last.key);
  }

  containsPrefix(prefix: Prefix): boolean {
    return this.containsRange(rangeOfPrefix(prefix));
  }

  /** Whether every address of `other` is in this set. The empty set is in every set. */
  containsSet(other: IpSet): boolean {
    if (this === other) return true;
    const bounds = other.#bounds;
    for (let i = 0; i < bounds.length; i += 2) {
      if (!this.#covers(at(bounds, i), at(bounds, i + 1))) return false;
    }
    return true;
  }

  overlapsRange(range: AddrRange): boolean {
    const i = this.#firstEndingAtOrAfter(range.first.key);
    return i < this.#bounds.length && at(this.#bounds, i) <= range.last.key;
  }

  overlapsPrefix(prefix: Prefix): boolean {
    return this.overlapsRange(rangeOfPrefix(prefix));
  }

  overlaps(other: IpSet): boolean {
    const [few, many] = this.rangeCount <= other.rangeCount ? [this, other] : [other, this];
    const bounds = few.#bounds;
    for (let i = 0; i < bounds.length; i += 2) {
      const j = many.#firstEndingAtOrAfter(at(bounds, i));
      if (j >= many.#bounds.length) return false;
      if (at(many.#bounds, j) <= at(bounds, i + 1)) return true;
    }
    return false;
  }

  equals(other: IpSet): boolean {
    if (this === other) return true;
    const [a, b] = [this.#bounds, other.#bounds];
    return a.length === b.length && a.every((bound, i) => bound === b[i]);
  }

  union(other: IpSet): IpSet {
    if (this === other || other.isEmpty || this.containsSet(other)) return this;
    if (this.isEmpty || other.containsSet(this)) return other;
    return new IpSet(mergeSorted(this.#bounds, other.#bounds));
  }

  intersect(other: IpSet): IpSet {
    if (this === other || other.containsSet(this)) return this;
    if (this.containsSet(other)) return other;
    const [a, b] = [this.#bounds, other.#bounds];
    const out: bigint[] = [];
    for (let i = 0, j = 0; i < a.length && j < b.length; ) {
      const [aLast, bLast] = [at(a, i + 1), at(b, j + 1)];
      const first = larger(at(a, i), at(b, j));
      const last = aLast < bLast ? aLast : bLast;
      if (first <= last) out.push(first, last);
      if (aLast < bLast) i += 2;
      else j += 2;
    }
    return setOfBounds(out);
  }

  subtract(other: IpSet): IpSet {
    if (!this.overlaps(other)) return this;
    const [a, b] = [this.#bounds, other.#bounds];
    const out: bigint[] = [];
    let j = 0;
    for (let i = 0; i < a.length; i += 2) {
      let first = at(a, i);
      const last = at(a, i + 1);
      while (j < b.length && at(b, j + 1) < first) j += 2;
      for (let k = j; k < b.length && at(b, k) <= last && first <= last; k += 2) {
        if (first < at(b, k)) out.push(first, at(b, k) - 1n);
        first = at(b, k + 1) + 1n;
      }
      if (first <= last) out.push(first, last);
    }
    return setOfBounds(out);
  }

  /** Every address of both families that is not in this set. */
  complement(): IpSet {
    return everyAddr.subtract(this);
  }

  toRanges(): readonly AddrRange[] {
    const ranges: AddrRange[] = [];
    for (let i = 0; i < this.#bounds.length; i += 2) {
      ranges.push({
        first: addrOfKey(at(this.#bounds, i)),
        last: addrOfKey(at(this.#bounds, i + 1)),
      });
    }
    return ranges;
  }

  /** The fewest prefixes that together are exactly this set, ascending. */
  toPrefixes(): readonly Prefix[] {
    return this.toRanges().flatMap((range) => rangePrefixes(range));
  }

  /** How many addresses. */
  size(): bigint {
    let count = 0n;
    for (let i = 0; i < this.#bounds.length; i += 2) {
      count += at(this.#bounds, i + 1) - at(this.#bounds, i) + 1n;
    }
    return count;
  }

  /** The lowest address, for a witness; undefined when empty. */
  firstAddr(): Addr | undefined {
    const key = this.#bounds[0];
    return key === undefined ? undefined : addrOfKey(key);
  }

  /** Equal sets have equal keys, different sets different ones. For maps; not for people. */
  key(): string {
    this.#key ??= this.#bounds.map((bound) => bound.toString(36)).join(',');
    return this.#key;
  }

  /** Canonical text: addresses, prefixes and `first-last` ranges, ascending. */
  format(): readonly string[] {
    return this.toRanges().map((range) => formatRange(range));
  }

  toString(): string {
    return this.format().join(', ');
  }

  toJSON(): readonly string[] {
    return this.format();
  }

  #covers(first: bigint, last: bigint): boolean {
    const i = this.#firstEndingAtOrAfter(first);
    if (i >= this.#bounds.length) return false;
    return at(this.#bounds, i) <= first && last <= at(this.#bounds, i + 1);
  }

  /** Index in the bounds of the first range whose last address is ≥ key; the length when there is none. */
  #firstEndingAtOrAfter(key: bigint): number {
    const bounds = this.#bounds;
    let low = 0;
    let high = bounds.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (at(bounds, 2 * middle + 1) < key) low = middle + 1;
      else high = middle;
    }
    return 2 * low;
  }

  /** Union of many at once: one sort instead of a merge each. */
  static unionAll(sets: Iterable<IpSet>): IpSet {
    const parts: IpSet[] = [];
    for (const set of sets) if (!set.isEmpty) parts.push(set);
    const [only] = parts;
    if (only === undefined) return emptyIpSet;
    if (parts.length === 1) return only;
    const pairs: [bigint, bigint][] = [];
    for (const part of parts) {
      for (let i = 0; i < part.#bounds.length; i += 2) {
        pairs.push([at(part.#bounds, i), at(part.#bounds, i + 1)]);
      }
    }
    return setOfPairs(pairs);
  }
}

export const emptyIpSet: IpSet = new IpSet([]);
/** All of IPv4 and all of IPv6. */
export const everyAddr: IpSet = new IpSet([firstKey4, lastKey4, firstKey6, lastKey6]);

/** The set of all addresses in the ranges, which may overlap and come in any order. */
export function ipSetOf(ranges: Iterable<AddrRange>): IpSet {
  const pairs: [bigint, bigint][] = [];
  for (const range of ranges) pairs.push([range.first.key, range.last.key]);
  return setOfPairs(pairs);
}

export function ipSetOfPrefixes(prefixes: Iterable<Prefix>): IpSet {
  const ranges: AddrRange[] = [];
  for (const prefix of prefixes) ranges.push(rangeOfPrefix(prefix));
  return ipSetOf(ranges);
}

/** The set of the addresses without a zone among these. */
export function ipSetOfAddrs(addrs: Iterable<Addr>): IpSet {
  const pairs: [bigint, bigint][] = [];
  for (const addr of addrs) if (addr.zone === '') pairs.push([addr.key, addr.key]);
  return setOfPairs(pairs);
}

function at(bounds: readonly bigint[], i: number): bigint {
  return present(bounds[i], 'bound of a range');
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function setOfBounds(bounds: readonly bigint[]): IpSet {
  return bounds.length === 0 ? emptyIpSet : new IpSet(bounds);
}

function setOfPairs(pairs: [bigint, bigint][]): IpSet {
  pairs.sort((x, y) => (x[0] < y[0] ? -1 : x[0] > y[0] ? 1 : 0));
  const out: bigint[] = [];
  for (const [first, last] of pairs) appendRange(out, first, last);
  return setOfBounds(out);
}

/** Appends a range that starts at or after the start of the last one, joining those that touch. */
function appendRange(out: bigint[], first: bigint, last: bigint): void {
  const end = out.at(-1);
  // The two families never touch: 2^32 - 1 is followed by 2^128.
  if (end === undefined || first > end + 1n) out.push(first, last);
  else if (last > end) out[out.length - 1] = last;
}

function mergeSorted(a: readonly bigint[], b: readonly bigint[]): readonly bigint[] {
  const out: bigint[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const takeA = j >= b.length || (i < a.length && at(a, i) <= at(b, j));
    if (takeA) {
      appendRange(out, at(a, i), at(a, i + 1));
      i += 2;
    } else {
      appendRange(out, at(b, j), at(b, j + 1));
      j += 2;
    }
  }
  return out;
}
