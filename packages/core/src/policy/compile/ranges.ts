/** The fixed sets of addresses: what `*` means, what the internet is. */
import {
  allV4,
  cgnatRange,
  chromeOsVmRange,
  formatAddr,
  type IpSet,
  ipSetOfPrefixes,
  parsePrefix,
  type Prefix,
  tailscaleUlaRange,
} from '../../base/netip/index.ts';
import { assert } from '../../base/assert.ts';

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  assert(parsed.ok, `prefix ${text} does not parse`);
  return parsed.value;
}

/** Every address that a node of a tailnet can have. */
export const tailnetSet: IpSet = ipSetOfPrefixes([cgnatRange, tailscaleUlaRange]).subtract(
  ipSetOfPrefixes([chromeOsVmRange]),
);

/** `*` as a source on the wire: the shared range without its ChromeOS part, and the IPv6 range. */
export const tailnetTexts: readonly string[] = [
  '100.64.0.0-100.115.91.255',
  '100.115.94.0-100.127.255.255',
  'fd7a:115c:a1e0::/48',
];

/** Public unicast addresses: what an exit node leads to. */
export const internetSet: IpSet = ipSetOfPrefixes([allV4, prefix('2000::/3')]).subtract(
  ipSetOfPrefixes([
    prefix('10.0.0.0/8'),
    prefix('172.16.0.0/12'),
    prefix('192.168.0.0/16'),
    prefix('169.254.0.0/16'),
    cgnatRange,
  ]),
);

/** The internet on the wire: ranges, also where a range is a prefix. */
export const internetTexts: readonly string[] = internetSet
  .toRanges()
  .map(({ first, last }) => `${formatAddr(first)}-${formatAddr(last)}`);
