import { type Addr, formatAddr, type IpSet, parseAddr, unmap } from '@postern/core/base/netip';

/** The forwarding headers of a request, values of one name joined in order. */
export interface ForwardingValues {
  readonly xForwardedFor: string | undefined;
  readonly forwarded: string | undefined;
  readonly xRealIp: string | undefined;
}

/** More hops than any real chain; what is beyond was written by the caller. */
const hopsMax = 32;

/**
 * The true client behind trusted proxies: the rightmost hop that is not one of them. An unreadable hop ends the
 * walk at the proxy that reported it, and headers that disagree count for nothing.
 */
export function clientAddressOf(
  peerAddress: string | undefined,
  values: ForwardingValues,
  trusted: IpSet,
): string | undefined {
  const peer = peerAddress === undefined ? undefined : readAddress(peerAddress);
  if (peer === undefined) return undefined;
  const own = formatAddr(peer);
  if (!trusted.containsAddr(peer)) return own;
  const answers = new Set<string>();
  const chains = [
    hopsOf(values.xForwardedFor),
    forwardedHops(values.forwarded),
    hopsOf(values.xRealIp),
  ];
  for (const hops of chains) {
    if (hops !== undefined) answers.add(walk(own, hops, trusted));
  }
  const [first, ...others] = answers;
  return first === undefined || others.length > 0 ? own : first;
}

function walk(peer: string, hops: readonly string[], trusted: IpSet): string {
  let client = peer;
  for (const hop of hops.slice(-hopsMax).reverse()) {
    const address = readHop(hop);
    if (address === undefined) return client;
    client = formatAddr(address);
    if (!trusted.containsAddr(address)) return client;
  }
  return client;
}

function hopsOf(value: string | undefined): readonly string[] | undefined {
  return value?.split(',').map((hop) => hop.trim());
}

/** RFC 7239: only the `for` parameter of each element; an element without one is an unreadable hop. */
function forwardedHops(value: string | undefined): readonly string[] | undefined {
  return value?.split(',').map((element) => {
    const found = /(?:^|;)\s*for=("?)([^";,\s]*)\1\s*(?:;|$)/i.exec(element.trim());
    return found?.[2] ?? '';
  });
}

/** `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80`. */
function readHop(text: string): Addr | undefined {
  const bracketed = /^\[([^\]]*)\](?::[0-9]{1,5})?$/.exec(text);
  if (bracketed !== null) return readAddress(bracketed[1] ?? '');
  const withPort = /^([0-9.]+):[0-9]{1,5}$/.exec(text);
  return readAddress(withPort?.[1] ?? text);
}

function readAddress(text: string): Addr | undefined {
  const parsed = parseAddr(text);
  return parsed.ok ? unmap(parsed.value) : undefined;
}
