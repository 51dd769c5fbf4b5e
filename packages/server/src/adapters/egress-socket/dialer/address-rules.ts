import {
  type Addr,
  addrValue,
  type IpSet,
  ipSetOfPrefixes,
  isV4,
  type Prefix,
  parseAddr,
  parsePrefixOrAddr,
} from '@postern/core/base/netip';
import { assert } from '@postern/core/base';

/**
 * What an address is for the way out. `public`: open. `internal`: only for a provider whose address the operator
 * wrote. `literal`: instance metadata and link-local, only if that address itself was written. `never`: nothing of
 * ours is there, and some of them are other spellings of the rest.
 */
export type AddressClass = 'public' | 'internal' | 'literal' | 'never';

const internal = setOf([
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  // Shared space of carriers: the range of tailnets.
  '100.64.0.0/10',
  '::1',
  'fc00::/7',
]);

const literal = setOf([
  '169.254.0.0/16',
  'fe80::/10',
  // Instance metadata outside link-local: AWS, Google, Alibaba, Azure, Oracle.
  'fd00:ec2::/32',
  'fd20:ce::254',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  // The local tailscaled's own service address.
  '100.100.100.100',
  'fd7a:115c:a1e0::53',
]);

/** IANA special-purpose registries; `0.0.0.0` reaches the machine itself on Linux. */
const never = setOf([
  '0.0.0.0/8',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  // Inside 2000::/3: protocol assignments with Teredo, documentation, 6to4, AS112.
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '2620:4f:8000::/48',
  '3fff::/20',
]);

/** All of IPv6 that is routed on the internet. Mapped, compatible, NAT64 and site-local addresses are outside. */
const globalV6 = setOf(['2000::/3']);
const nat64 = setOf(['64:ff9b::/96']);
const v4Mask = 0xffff_ffffn;

/** `extraInternal` are prefixes that this network uses as its own, such as a mesh range in public address space. */
export function classifyAddress(addr: Addr, extraInternal: IpSet): AddressClass {
  // A zone names an interface: only link-local addresses have one.
  if (addr.zone !== '') return 'literal';
  if (literal.containsAddr(addr)) return 'literal';
  if (internal.containsAddr(addr) || extraInternal.containsAddr(addr)) return 'internal';
  if (never.containsAddr(addr)) return 'never';
  if (isV4(addr)) return 'public';
  if (nat64.containsAddr(addr)) return classifyTranslated(addr, extraInternal);
  return globalV6.containsAddr(addr) ? 'public' : 'never';
}

/** RFC 6052: in networks without IPv4 every public server has such an address, and the operator says so. */
function classifyTranslated(addr: Addr, extraInternal: IpSet): AddressClass {
  const value = addrValue(addr) & v4Mask;
  const octets = [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn));
  const parsed = parseAddr(octets.join('.'));
  const inner = parsed.ok ? classifyAddress(parsed.value, extraInternal) : 'never';
  return inner === 'public' ? 'internal' : 'never';
}

export function setOf(texts: readonly string[]): IpSet {
  const prefixes: Prefix[] = [];
  for (const text of texts) {
    const prefix = parsePrefixOrAddr(text);
    assert(prefix.ok, `${text} is a prefix`);
    prefixes.push(prefix.value);
  }
  return ipSetOfPrefixes(prefixes);
}
