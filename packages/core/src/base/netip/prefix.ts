/** CIDR prefixes, as strict as Go's `netip.ParsePrefix`. */
import { goQuote } from '../quote.ts';
import { err, ok, type Result } from '../result.ts';
import { type Addr, addrBits, addrOfKey, compareAddr, formatAddr, isV4, isV6 } from './addr.ts';
import { parseAddr } from './addr-parse.ts';

/** An address and how many of its leading bits count. Host bits may be set: `maskedPrefix` clears them. */
export interface Prefix {
  readonly addr: Addr;
  readonly bits: number;
}

/** Reads `addr/bits`. Refuses zones, signs, leading zeros in the length. The error is Go's text. */
export function parsePrefix(text: string): Result<Prefix, string> {
  const refuse = (message: string): Result<Prefix, string> =>
    err(`netip.ParsePrefix(${goQuote(text)}): ${message}`);
  const slash = text.lastIndexOf('/');
  if (slash < 0) return refuse("no '/'");
  const addr = parseAddr(text.slice(0, slash));
  if (!addr.ok) return refuse(addr.error);
  if (addr.value.zone !== '') return refuse('IPv6 zones cannot be present in a prefix');
  const bitsText = text.slice(slash + 1);
  if (!/^(?:[0-9]|[1-9][0-9]+)$/.test(bitsText) || bitsText.length > 18) {
    return refuse(`bad bits after slash: ${goQuote(bitsText)}`);
  }
  const bits = Number(bitsText);
  if (bits > addrBits(addr.value)) return refuse('prefix length out of range');
  return ok({ addr: addr.value, bits });
}

/** Reads a prefix, or an address as the prefix that holds just it. */
export function parsePrefixOrAddr(text: string): Result<Prefix, string> {
  if (text.includes('/')) return parsePrefix(text);
  const addr = parseAddr(text);
  if (!addr.ok) return addr;
  if (addr.value.zone !== '')
    return err(`${goQuote(text)}: IPv6 zones cannot be present in a prefix`);
  return ok(prefixOfAddr(addr.value));
}

/** The prefix of the first `bits` bits, host bits cleared and the zone gone, or undefined when out of range. */
export function prefixOf(addr: Addr, bits: number): Prefix | undefined {
  if (!Number.isInteger(bits) || bits < 0 || bits > addrBits(addr)) return undefined;
  return maskedPrefix({ addr, bits });
}

/** The prefix that holds just this address. */
export function prefixOfAddr(addr: Addr): Prefix {
  return { addr: addrOfKey(addr.key), bits: addrBits(addr) };
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddr(prefix.addr)}/${prefix.bits}`;
}

export function maskedPrefix(prefix: Prefix): Prefix {
  return { addr: addrOfKey(firstKeyOf(prefix)), bits: prefix.bits };
}

export function isSingleAddr(prefix: Prefix): boolean {
  return prefix.bits === addrBits(prefix.addr);
}

/** Whether the address lies inside. Never across families, never for an address with a zone. */
export function prefixContains(prefix: Prefix, addr: Addr): boolean {
  if (addr.zone !== '' || isV4(prefix.addr) !== isV4(addr)) return false;
  const hostBits = BigInt(addrBits(addr) - prefix.bits);
  return prefix.addr.key >> hostBits === addr.key >> hostBits;
}

export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  if (isV6(a.addr) !== isV6(b.addr)) return false;
  const hostBits = BigInt(addrBits(a.addr) - Math.min(a.bits, b.bits));
  return a.addr.key >> hostBits === b.addr.key >> hostBits;
}

/** Whether every address of `inner` lies in `outer`. */
export function prefixCovers(outer: Prefix, inner: Prefix): boolean {
  return outer.bits <= inner.bits && prefixesOverlap(outer, inner);
}

/** Same address (host bits included) and length. */
export function prefixEquals(a: Prefix, b: Prefix): boolean {
  return a.bits === b.bits && compareAddr(a.addr, b.addr) === 0;
}

/** Go's order: IPv4 first, then masked address, then length, then host bits. */
export function comparePrefix(a: Prefix, b: Prefix): number {
  const [x, y] = [firstKeyOf(a), firstKeyOf(b)];
  if (x !== y) return x < y ? -1 : 1;
  return a.bits - b.bits || compareAddr(a.addr, b.addr);
}

function firstKeyOf(prefix: Prefix): bigint {
  const hostBits = BigInt(addrBits(prefix.addr) - prefix.bits);
  return (prefix.addr.key >> hostBits) << hostBits;
}
