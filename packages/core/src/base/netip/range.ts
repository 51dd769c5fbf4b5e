/** Ranges of addresses of one family, both ends inside. */
import { goQuote } from '../quote.ts';
import { err, ok, type Result } from '../result.ts';
import { type Addr, addrBits, addrOfKey, formatAddr, isV4 } from './addr.ts';
import { parseAddr } from './addr-parse.ts';
import { isSingleAddr, maskedPrefix, type Prefix, formatPrefix } from './prefix.ts';

/** `first` ≤ `last`, the same family, no zones. Made by the functions of this file. */
export interface AddrRange {
  readonly first: Addr;
  readonly last: Addr;
}

/** The range between two addresses of one family; zones are dropped. */
export function rangeOf(first: Addr, last: Addr): Result<AddrRange, string> {
  if (isV4(first) !== isV4(last) || first.key > last.key) {
    return err(`range ${formatAddr(first)} to ${formatAddr(last)} not valid`);
  }
  return ok({ first: addrOfKey(first.key), last: addrOfKey(last.key) });
}

/** Reads `first-last`. Messages are those of go4.org/netipx. */
export function parseRange(text: string): Result<AddrRange, string> {
  const hyphen = text.indexOf('-');
  if (hyphen < 0) return err(`no hyphen in range ${goQuote(text)}`);
  const [from, to] = [text.slice(0, hyphen), text.slice(hyphen + 1)];
  const first = parseAddr(from);
  if (!first.ok) return err(`invalid From IP ${goQuote(from)} in range ${goQuote(text)}`);
  const last = parseAddr(to);
  if (!last.ok) return err(`invalid To IP ${goQuote(to)} in range ${goQuote(text)}`);
  return rangeOf(first.value, last.value);
}

export function rangeOfPrefix(prefix: Prefix): AddrRange {
  const { addr } = maskedPrefix(prefix);
  const size = 1n << BigInt(addrBits(addr) - prefix.bits);
  return { first: addr, last: addrOfKey(addr.key + size - 1n) };
}

export function rangeOfAddr(addr: Addr): AddrRange {
  const bare = addrOfKey(addr.key);
  return { first: bare, last: bare };
}

export function rangeContains(range: AddrRange, addr: Addr): boolean {
  return addr.zone === '' && range.first.key <= addr.key && addr.key <= range.last.key;
}

export function rangesOverlap(a: AddrRange, b: AddrRange): boolean {
  return a.first.key <= b.last.key && b.first.key <= a.last.key;
}

/** The fewest prefixes that together are exactly the range, in ascending order. */
export function rangePrefixes(range: AddrRange): readonly Prefix[] {
  const prefixes: Prefix[] = [];
  const width = addrBits(range.first);
  let key = range.first.key;
  while (key <= range.last.key) {
    const hostBits = largestBlock(key, range.last.key, width);
    prefixes.push({ addr: addrOfKey(key), bits: width - hostBits });
    key += 1n << BigInt(hostBits);
  }
  return prefixes;
}

/** Host bits of the largest aligned block that starts at `key` and ends at or before `last`. */
function largestBlock(key: bigint, last: bigint, width: number): number {
  let hostBits = 0;
  while (hostBits < width) {
    const size = 1n << BigInt(hostBits + 1);
    if ((key & (size - 1n)) !== 0n || key + size - 1n > last) break;
    hostBits += 1;
  }
  return hostBits;
}

/** The prefix that is exactly this range, if there is one. */
export function rangePrefix(range: AddrRange): Prefix | undefined {
  const width = addrBits(range.first);
  const hostBits = largestBlock(range.first.key, range.last.key, width);
  const reached = range.first.key + (1n << BigInt(hostBits)) - 1n;
  return reached === range.last.key ? { addr: range.first, bits: width - hostBits } : undefined;
}

/** The shortest of `address`, `prefix`, `first-last` that says the range. */
export function formatRange(range: AddrRange): string {
  const prefix = rangePrefix(range);
  if (prefix === undefined) return `${formatAddr(range.first)}-${formatAddr(range.last)}`;
  return isSingleAddr(prefix) ? formatAddr(prefix.addr) : formatPrefix(prefix);
}
