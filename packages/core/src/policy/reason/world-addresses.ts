/** Addresses of imagined machines, from the ends of the two tailnet ranges. */
import {
  type Addr,
  addrFromBytes,
  addrBytes,
  cgnatRange,
  knownPrefix,
  rangeOfPrefix,
} from '../../base/netip/index.ts';
import { assert } from '../../base/assert.ts';

const lastV4 = addrBytes(rangeOfPrefix(cgnatRange).last);
const firstV6 = addrBytes(knownPrefix('fd7a:115c:a1e0:ffff::/64').addr);

/** The n-th pair of addresses: IPv4 counted down from the end of the range, IPv6 up in a subnet of its own. */
export function addrOfOrdinal(ordinal: number): readonly Addr[] {
  return [offset(lastV4, -1 - ordinal), offset(firstV6, 1 + ordinal)];
}

/** `by` reaches at most 2^31 in both directions and never leaves the last four bytes. */
function offset(base: Uint8Array, by: number): Addr {
  const bytes = base.slice();
  const view = new DataView(bytes.buffer);
  const at = bytes.length - 4;
  view.setUint32(at, view.getUint32(at) + by);
  const addr = addrFromBytes(bytes);
  assert(addr !== undefined, 'an address of 4 or 16 bytes');
  return addr;
}
