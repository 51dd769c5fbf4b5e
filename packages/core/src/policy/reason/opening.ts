/**
 * What is open between two places: ports by protocol, in one canonical form. The meaning is that of the packet
 * filter of stock clients: a rule without protocol opens TCP, UDP and both ICMPs; whatever opens anything also
 * lets pings in; a protocol without ports is open only where a rule names it.
 */
import { defaultProtocols, formatProtocol } from '../file/protocol.ts';

/** Ports as first, last, first, last …, ascending and disjoint. */
export type Ports = readonly number[];

export interface Opening {
  readonly tcp: Ports;
  readonly udp: Ports;
  readonly sctp: Ports;
  /** Protocols without ports, other than ICMP, ascending. */
  readonly protocols: readonly number[];
  readonly icmp: boolean;
}

export const protocolTcp = 6;
export const protocolUdp = 17;
export const protocolSctp = 132;
const icmpProtocols: ReadonlySet<number> = new Set([1, 58]);

export const closed: Opening = { tcp: [], udp: [], sctp: [], protocols: [], icmp: false };
const everyPort: Ports = [0, 65_535];

/** One line of a rule: a protocol, or the usual ones, and ports. */
export interface OpenedPorts {
  readonly protocol: number | undefined;
  readonly ports: readonly { readonly First: number; readonly Last: number }[];
}

export function openingOf({ protocol, ports }: OpenedPorts): Opening {
  if (ports.length === 0) return closed;
  const ranges = normalPorts(ports.flatMap(({ First, Last }) => [First, Last]));
  const protocols = protocol === undefined ? defaultProtocols : [protocol];
  const of = (wanted: number): Ports => (protocols.includes(wanted) ? ranges : []);
  const isWhole = ranges[0] === 0 && ranges[1] === 65_535;
  const portless = protocols.filter((number) => isPortless(number));
  return {
    tcp: of(protocolTcp),
    udp: of(protocolUdp),
    sctp: of(protocolSctp),
    protocols: isWhole ? portless : [],
    icmp: true,
  };
}

function isPortless(protocol: number): boolean {
  return (
    !icmpProtocols.has(protocol) &&
    protocol !== protocolTcp &&
    protocol !== protocolUdp &&
    protocol !== protocolSctp
  );
}

export const fullyOpen: Opening = {
  tcp: everyPort,
  udp: everyPort,
  sctp: [],
  protocols: [],
  icmp: true,
};

function normalPorts(bounds: readonly number[]): Ports {
  const pairs: [number, number][] = [];
  for (let i = 0; i < bounds.length; i += 2) pairs.push([bounds[i] ?? 0, bounds[i + 1] ?? 0]);
  pairs.sort((a, b) => a[0] - b[0]);
  const out: number[] = [];
  for (const [first, last] of pairs) {
    const end = out.at(-1);
    if (end === undefined || first > end + 1) out.push(first, last);
    else if (last > end) out[out.length - 1] = last;
  }
  return out;
}

export function unionOpenings(openings: readonly Opening[]): Opening {
  const [only = closed] = openings;
  if (openings.length <= 1) return only;
  return {
    tcp: normalPorts(openings.flatMap((opening) => opening.tcp)),
    udp: normalPorts(openings.flatMap((opening) => opening.udp)),
    sctp: normalPorts(openings.flatMap((opening) => opening.sctp)),
    protocols: [...new Set(openings.flatMap((opening) => opening.protocols))].sort((a, b) => a - b),
    icmp: openings.some((opening) => opening.icmp),
  };
}

/** What `a` opens and `b` does not. */
export function subtractOpening(a: Opening, b: Opening): Opening {
  return {
    tcp: subtractPorts(a.tcp, b.tcp),
    udp: subtractPorts(a.udp, b.udp),
    sctp: subtractPorts(a.sctp, b.sctp),
    protocols: a.protocols.filter((protocol) => !b.protocols.includes(protocol)),
    icmp: a.icmp && !b.icmp,
  };
}

function subtractPorts(a: Ports, b: Ports): Ports {
  const out: number[] = [];
  for (let i = 0; i < a.length; i += 2) {
    let first = a[i] ?? 0;
    const last = a[i + 1] ?? 0;
    for (let j = 0; j < b.length && first <= last; j += 2) {
      const [from, to] = [b[j] ?? 0, b[j + 1] ?? 0];
      if (to < first || from > last) continue;
      if (first < from) out.push(first, from - 1);
      first = to + 1;
    }
    if (first <= last) out.push(first, last);
  }
  return out;
}

export function isClosed(opening: Opening): boolean {
  return (
    !opening.icmp &&
    opening.tcp.length === 0 &&
    opening.udp.length === 0 &&
    opening.sctp.length === 0 &&
    opening.protocols.length === 0
  );
}

/** Whether a packet of this protocol gets through. The port counts only for TCP, UDP and SCTP. */
export function admitsPacket(opening: Opening, protocol: number, port: number): boolean {
  if (icmpProtocols.has(protocol)) return opening.icmp;
  if (isPortless(protocol)) return opening.protocols.includes(protocol);
  return portsOf(opening, protocol).some(
    (first, i, bounds) => i % 2 === 0 && first <= port && port <= (bounds[i + 1] ?? -1),
  );
}

function portsOf(opening: Opening, protocol: number): Ports {
  if (protocol === protocolTcp) return opening.tcp;
  return protocol === protocolUdp ? opening.udp : opening.sctp;
}

/** Equal openings have equal keys. */
export function openingKey({ tcp, udp, sctp, protocols, icmp }: Opening): string {
  return `${tcp.join()}/${udp.join()}/${sctp.join()}/${protocols.join()}/${icmp ? 1 : 0}`;
}

export interface PacketKind {
  readonly protocol: number;
  readonly port: number;
}

/** One packet that is let in: the lowest port of TCP, else of UDP, SCTP, else another protocol. */
export function samplePacket(opening: Opening, isV4: boolean): PacketKind | undefined {
  // Port 0 convinces nobody, and is taken only where nothing else is open.
  const usable = ([first, last = 0]: Ports): number | undefined =>
    first === 0 ? Math.min(1, last) : first;
  for (const protocol of [protocolTcp, protocolUdp, protocolSctp]) {
    const port = usable(portsOf(opening, protocol));
    if (port !== undefined) return { protocol, port };
  }
  const [other] = opening.protocols;
  if (other !== undefined) return { protocol: other, port: 0 };
  return opening.icmp ? { protocol: isV4 ? 1 : 58, port: 0 } : undefined;
}

/** For people: `tcp:22,80-90 udp:53`; `*` for everything that a rule without protocol opens. */
export function formatOpening(opening: Opening): string {
  if (isClosed(opening)) return 'nothing';
  const parts: string[] = [];
  const [tcp, udp] = [formatPorts(opening.tcp), formatPorts(opening.udp)];
  if (tcp === udp && tcp !== '') parts.push(tcp);
  else {
    if (tcp !== '') parts.push(`tcp:${tcp}`);
    if (udp !== '') parts.push(`udp:${udp}`);
  }
  if (opening.sctp.length > 0) parts.push(`sctp:${formatPorts(opening.sctp)}`);
  for (const protocol of opening.protocols) parts.push(`${formatProtocol(protocol)}:*`);
  return parts.length === 0 ? 'icmp:*' : parts.join(' ');
}

function formatPorts(ports: Ports): string {
  if (ports[0] === 0 && ports[1] === 65_535) return '*';
  const parts: string[] = [];
  for (let i = 0; i < ports.length; i += 2) {
    parts.push(
      ports[i] === ports[i + 1] ? `${ports[i] ?? 0}` : `${ports[i] ?? 0}-${ports[i + 1] ?? 0}`,
    );
  }
  return parts.join(',');
}
