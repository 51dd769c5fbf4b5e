/** One IP address, with the identity rules of Go's `net/netip`: `1.2.3.4` and `::ffff:1.2.3.4` differ. */

const v6Base = 1n << 128n;
const v4Max = 0xffff_ffffn;
const mappedBase = v6Base + 0xffff_0000_0000n;

/**
 * An address. Compare with `compareAddr` or `addrEquals`, never by identity. `key` orders addresses as Go
 * does (all of IPv4, then all of IPv6): the value itself for IPv4, 2^128 + the value for IPv6.
 * `zone` is empty except for a scoped IPv6 address.
 */
export interface Addr {
  readonly key: bigint;
  readonly zone: string;
}

/** The address that `key` stands for. For callers inside this folder: a key must be in one of the two ranges. */
export function addrOfKey(key: bigint): Addr {
  return { key, zone: '' };
}

export const firstKey4 = 0n;
export const lastKey4: bigint = v4Max;
export const firstKey6: bigint = v6Base;
export const lastKey6: bigint = v6Base + v6Base - 1n;

export function isV4(addr: Addr): boolean {
  return addr.key <= v4Max;
}

/** True for every IPv6 address, the IPv4-mapped ones included. */
export function isV6(addr: Addr): boolean {
  return addr.key > v4Max;
}

/** True for `::ffff:0:0/96`, whatever the zone. */
export function is4In6(addr: Addr): boolean {
  return addr.key >= mappedBase && addr.key <= mappedBase + v4Max;
}

/** The IPv4 address inside an IPv4-mapped one (its zone goes); any other address unchanged. */
export function unmap(addr: Addr): Addr {
  return is4In6(addr) ? addrOfKey(addr.key - mappedBase) : addr;
}

/** 32 or 128. */
export function addrBits(addr: Addr): number {
  return isV4(addr) ? 32 : 128;
}

/** The address as an unsigned number of `addrBits` bits. */
export function addrValue(addr: Addr): bigint {
  return isV4(addr) ? addr.key : addr.key - v6Base;
}

/** The same address with another zone; an IPv4 address has none and stays as it is. */
export function withZone(addr: Addr, zone: string): Addr {
  return isV4(addr) || addr.zone === zone ? addr : { key: addr.key, zone };
}

/** Negative, zero or positive: IPv4 before IPv6, then by value, then by zone. */
export function compareAddr(a: Addr, b: Addr): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  if (a.zone === b.zone) return 0;
  return a.zone < b.zone ? -1 : 1;
}

export function addrEquals(a: Addr, b: Addr): boolean {
  return a.key === b.key && a.zone === b.zone;
}

/** The address after this one, or undefined after the last of its family. */
export function nextAddr(addr: Addr): Addr | undefined {
  if (addr.key === lastKey4 || addr.key === lastKey6) return undefined;
  return { key: addr.key + 1n, zone: addr.zone };
}

/** The address before this one, or undefined before the first of its family. */
export function prevAddr(addr: Addr): Addr | undefined {
  if (addr.key === firstKey4 || addr.key === firstKey6) return undefined;
  return { key: addr.key - 1n, zone: addr.zone };
}

/** The address of 4 or 16 bytes in network order, or undefined for another length. */
export function addrFromBytes(bytes: Uint8Array): Addr | undefined {
  if (bytes.length !== 4 && bytes.length !== 16) return undefined;
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return addrOfKey(bytes.length === 4 ? value : v6Base + value);
}

/** 4 or 16 bytes in network order. The zone is not part of them. */
export function addrBytes(addr: Addr): Uint8Array {
  const bytes = new Uint8Array(addrBits(addr) / 8);
  let rest = addrValue(addr);
  for (let i = bytes.length - 1; i >= 0; i -= 1) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** Canonical text: dotted IPv4, RFC 5952 IPv6, `::ffff:1.2.3.4` for IPv4-mapped, `%zone` last. */
export function formatAddr(addr: Addr): string {
  if (isV4(addr)) return formatV4(addr.key);
  const text = is4In6(addr)
    ? `::ffff:${formatV4(addr.key - mappedBase)}`
    : formatV6(addr.key - v6Base);
  return addr.zone === '' ? text : `${text}%${addr.zone}`;
}

function formatV4(value: bigint): string {
  const n = Number(value);
  return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
}

function formatV6(value: bigint): string {
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn));
  const zeros = longestZeroRun(groups);
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (zeros.length < 2) return hex(0, 8);
  return `${hex(0, zeros.start)}::${hex(zeros.start + zeros.length, 8)}`;
}

/** The first of the longest runs, as RFC 5952 section 4.2.3 asks. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, i) => {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  });
  return best;
}
