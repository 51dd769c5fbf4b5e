/** The address ranges of a tailnet and the questions asked about routes in it. */
import { assert } from '../assert.ts';
import { type Addr, addrOfKey, addrValue, firstKey6, isV4, isV6 } from './addr.ts';
import { parseAddr } from './addr-parse.ts';
import { knownPrefix } from './addr-class.ts';
import { isSingleAddr, type Prefix, prefixContains, prefixCovers } from './prefix.ts';

function knownAddr(text: string): Addr {
  const parsed = parseAddr(text);
  assert(parsed.ok, `address ${text} does not parse`);
  return parsed.value;
}

/** RFC 6598 shared address space, from which tailnet IPv4 addresses come. */
export const cgnatRange: Prefix = knownPrefix('100.64.0.0/10');
/** The part of it that ChromeOS uses between its host and its containers: never assigned to a node. */
export const chromeOsVmRange: Prefix = knownPrefix('100.115.92.0/23');
/** From which tailnet IPv6 addresses come. */
export const tailscaleUlaRange: Prefix = knownPrefix('fd7a:115c:a1e0::/48');
/** Addresses that carry a site id and an IPv4 address behind it ("4via6"). */
export const viaRange: Prefix = knownPrefix('fd7a:115c:a1e0:b1a::/64');
/** Where an IPv4 tailnet address maps to IPv6 one to one. */
export const fourToSixRange: Prefix = knownPrefix('fd7a:115c:a1e0:ab12:4843:cd96:6200::/104');
export const serviceAddr4: Addr = knownAddr('100.100.100.100');
export const serviceAddr6: Addr = knownAddr('fd7a:115c:a1e0::53');
export const allV4: Prefix = knownPrefix('0.0.0.0/0');
export const allV6: Prefix = knownPrefix('::/0');

/** Shared address space of carriers (RFC 6598), all of it. */
export function isCgnat(addr: Addr): boolean {
  return prefixContains(cgnatRange, addr);
}

export function inChromeOsRange(addr: Addr): boolean {
  return prefixContains(chromeOsVmRange, addr);
}

export function isTailscaleV4(addr: Addr): boolean {
  return isV4(addr) && isCgnat(addr) && !inChromeOsRange(addr);
}

/** Whether tailnets assign this address to nodes. An IPv4-mapped one is not a tailnet address. */
export function isTailscaleAddr(addr: Addr): boolean {
  return isV4(addr) ? isTailscaleV4(addr) : prefixContains(tailscaleUlaRange, addr);
}

/** The IPv6 tailnet address that belongs to an IPv4 tailnet address, or undefined for any other address. */
export function fourToSix(addr: Addr): Addr | undefined {
  if (!isTailscaleV4(addr)) return undefined;
  return addrOfKey(fourToSixRange.addr.key | (addr.key & 0xff_ffffn));
}

/** The IPv4 address inside a 4via6 address; any other address unchanged. */
export function unmapVia(addr: Addr): Addr {
  return prefixContains(viaRange, addr) ? addrOfKey(addrValue(addr) & 0xffff_ffffn) : addr;
}

/** The 4via6 prefix of an IPv4 prefix at a site (0 to 2^32 - 1); undefined for an IPv6 prefix or a bad site. */
export function mapVia(siteId: number, prefix: Prefix): Prefix | undefined {
  if (!isV4(prefix.addr)) return undefined;
  if (!Number.isInteger(siteId) || siteId < 0 || siteId > 0xffff_ffff) return undefined;
  const value = addrValue(viaRange.addr) | (BigInt(siteId) << 32n) | prefix.addr.key;
  return { addr: addrOfKey(firstKey6 + value), bits: prefix.bits + 96 };
}

export function isViaPrefix(prefix: Prefix): boolean {
  return prefixCovers(viaRange, prefix);
}

/** Exactly `0.0.0.0/0` or `::/0`. `1.1.1.1/0` is not a valid route. */
export function isExitRoute(prefix: Prefix): boolean {
  return prefix.bits === 0 && addrValue(prefix.addr) === 0n;
}

/** Whether either exit route is there. */
export function containsExitRoute(prefixes: readonly Prefix[]): boolean {
  return prefixes.some((prefix) => isExitRoute(prefix));
}

/** Whether both exit routes are there: what makes an exit node. */
export function containsExitRoutePair(prefixes: readonly Prefix[]): boolean {
  const exits = prefixes.filter((prefix) => isExitRoute(prefix));
  return exits.some((prefix) => isV4(prefix.addr)) && exits.some((prefix) => isV6(prefix.addr));
}

/** The others, where both exit routes are there; all, where at most one is. */
export function withoutExitRoutePair(prefixes: readonly Prefix[]): readonly Prefix[] {
  return containsExitRoutePair(prefixes) ? withoutExitRoutes(prefixes) : prefixes;
}

/** The prefixes that are not exit routes. */
export function withoutExitRoutes(prefixes: readonly Prefix[]): readonly Prefix[] {
  return prefixes.filter((prefix) => !isExitRoute(prefix));
}

/** Whether a route is there that is neither an exit route nor one single address. */
export function containsSubnetRoute(prefixes: readonly Prefix[]): boolean {
  return prefixes.some((prefix) => !isExitRoute(prefix) && !isSingleAddr(prefix));
}

/** The first tailnet address of each family among a node's address prefixes. */
export function firstTailscaleAddrs(prefixes: readonly Prefix[]): {
  readonly v4: Addr | undefined;
  readonly v6: Addr | undefined;
} {
  const own = prefixes.map(({ addr }) => addr).filter((addr) => isTailscaleAddr(addr));
  return { v4: own.find((addr) => isV4(addr)), v6: own.find((addr) => isV6(addr)) };
}
