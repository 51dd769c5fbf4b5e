import type { Addr } from '@postern/core/base/netip';
import {
  cgnatRange,
  isLinkLocalUnicast,
  isLoopback,
  isPrivate,
  isUnspecified,
  parseAddr,
  parsePrefix,
  prefixContains,
  unmap,
} from '@postern/core/base/netip';

/** The range of tailnets in IPv6; that of IPv4 is the shared space of carriers. */
const tailnetRange = parsePrefix('fd7a:115c:a1e0::/48');

/** How far an address is reached from. */
export type Exposure = 'loopback' | 'mesh' | 'private' | 'wildcard' | 'public';

export function exposureOf(text: string): Exposure | undefined {
  const parsed = parseAddr(text.replace(/^\[|\]$/g, ''));
  return parsed.ok ? exposureOfAddr(unmap(parsed.value)) : undefined;
}

function exposureOfAddr(addr: Addr): Exposure {
  if (isUnspecified(addr)) return 'wildcard';
  if (isLoopback(addr)) return 'loopback';
  if (prefixContains(cgnatRange, addr)) return 'mesh';
  if (tailnetRange.ok && prefixContains(tailnetRange.value, addr)) return 'mesh';
  if (isPrivate(addr) || isLinkLocalUnicast(addr)) return 'private';
  return 'public';
}

/** Reached by machines that are not on the private network. */
export function isExposed(host: string): boolean {
  const exposure = exposureOf(host);
  return exposure === 'wildcard' || exposure === 'public' || exposure === 'private';
}
