/**
 * @module Strict IP addresses, prefixes, ranges and sets of addresses.
 *
 * Promises: what Go's `net/netip` accepts is accepted, what it refuses is refused with its message
 * (`127.1`, `010.0.0.1`, `1.2.3.4/032` are errors); texts are canonical; values are immutable; membership in a
 * set is a binary search and the algebra linear. Refuses: looser notations, host names, address families other
 * than IPv4 and IPv6. Limits: a text longer than 512 characters is not an address.
 */
export {
  type Addr,
  addrBits,
  addrBytes,
  addrEquals,
  addrFromBytes,
  addrValue,
  compareAddr,
  formatAddr,
  is4In6,
  isV4,
  isV6,
  nextAddr,
  prevAddr,
  unmap,
  withZone,
} from './addr.ts';
export {
  isGlobalUnicast,
  isInterfaceLocalMulticast,
  isLinkLocalMulticast,
  isLinkLocalUnicast,
  isLoopback,
  isMulticast,
  isPrivate,
  isUnspecified,
  knownPrefix,
} from './addr-class.ts';
export { parseAddr } from './addr-parse.ts';
export {
  comparePrefix,
  formatPrefix,
  isSingleAddr,
  maskedPrefix,
  type Prefix,
  parsePrefix,
  parsePrefixOrAddr,
  prefixContains,
  prefixCovers,
  prefixEquals,
  prefixesOverlap,
  prefixOf,
  prefixOfAddr,
} from './prefix.ts';
export {
  type AddrRange,
  formatRange,
  parseRange,
  rangeContains,
  rangeOf,
  rangeOfAddr,
  rangeOfPrefix,
  rangePrefix,
  rangePrefixes,
  rangesOverlap,
} from './range.ts';
export { emptyIpSet, everyAddr, IpSet, ipSetOf, ipSetOfAddrs, ipSetOfPrefixes } from './set.ts';
export {
  allV4,
  allV6,
  cgnatRange,
  chromeOsVmRange,
  containsExitRoute,
  containsExitRoutePair,
  containsSubnetRoute,
  firstTailscaleAddrs,
  fourToSix,
  fourToSixRange,
  inChromeOsRange,
  isCgnat,
  isExitRoute,
  isTailscaleAddr,
  isTailscaleV4,
  isViaPrefix,
  mapVia,
  serviceAddr4,
  serviceAddr6,
  tailscaleUlaRange,
  unmapVia,
  viaRange,
  withoutExitRoutePair,
  withoutExitRoutes,
} from './tailnet.ts';
