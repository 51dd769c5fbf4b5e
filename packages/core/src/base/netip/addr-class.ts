/** What kind of address it is, with the answers of Go's `netip.Addr.Is*` methods. */
import { type Addr, addrValue, is4In6, isV4, isV6, unmap } from './addr.ts';
import { parsePrefix, type Prefix, prefixContains } from './prefix.ts';
import { assert } from '../assert.ts';

/** A prefix written in the source: a text that does not parse is a bug. */
export function knownPrefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  assert(parsed.ok, `prefix ${text} does not parse`);
  return parsed.value;
}

const linkLocal4 = knownPrefix('169.254.0.0/16');
const linkLocal6 = knownPrefix('fe80::/10');
const loopback4 = knownPrefix('127.0.0.0/8');
const multicast4 = knownPrefix('224.0.0.0/4');
const multicast6 = knownPrefix('ff00::/8');
const linkLocalMulticast4 = knownPrefix('224.0.0.0/24');
const privates: readonly Prefix[] = [
  knownPrefix('10.0.0.0/8'),
  knownPrefix('172.16.0.0/12'),
  knownPrefix('192.168.0.0/16'),
  knownPrefix('fc00::/7'),
];

/** Contains, whatever the zone: the kind of an address does not depend on its interface. */
function inside(prefix: Prefix, addr: Addr): boolean {
  return prefixContains(prefix, { key: addr.key, zone: '' });
}

/** `0.0.0.0` and `::` without a zone. `::ffff:0.0.0.0` is neither. */
export function isUnspecified(addr: Addr): boolean {
  return addrValue(addr) === 0n && addr.zone === '';
}

export function isLoopback(addr: Addr): boolean {
  const bare = unmap(addr);
  return isV4(bare) ? inside(loopback4, bare) : addrValue(bare) === 1n;
}

/** RFC 1918 and RFC 4193. The shared space of carriers is not part of it: see `isCgnat`. */
export function isPrivate(addr: Addr): boolean {
  const bare = unmap(addr);
  return privates.some((prefix) => inside(prefix, bare));
}

export function isLinkLocalUnicast(addr: Addr): boolean {
  const bare = unmap(addr);
  return inside(linkLocal4, bare) || inside(linkLocal6, bare);
}

export function isMulticast(addr: Addr): boolean {
  const bare = unmap(addr);
  return inside(multicast4, bare) || inside(multicast6, bare);
}

/** Multicast of scope 1 (`ff_1::/16`), which IPv4 does not have. */
export function isInterfaceLocalMulticast(addr: Addr): boolean {
  return isV6(addr) && !is4In6(addr) && multicastScope(addr) === 0xff01n;
}

export function isLinkLocalMulticast(addr: Addr): boolean {
  const bare = unmap(addr);
  if (isV4(bare)) return inside(linkLocalMulticast4, bare);
  return multicastScope(bare) === 0xff02n;
}

/** Unicast that is not loopback, link-local, unspecified or the IPv4 broadcast. Private addresses count. */
export function isGlobalUnicast(addr: Addr): boolean {
  const bare = unmap(addr);
  if (isV4(bare) && (bare.key === 0n || bare.key === 0xffff_ffffn)) return false;
  return (
    !isUnspecified(bare) && !isLoopback(bare) && !isMulticast(bare) && !isLinkLocalUnicast(bare)
  );
}

function multicastScope(addr: Addr): bigint {
  return (addrValue(addr) >> 112n) & 0xff0fn;
}
