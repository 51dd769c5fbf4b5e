/** Ports, `host:ports` of ACL destinations and tests, and the `ip` field of a grant. Messages are the service's. */
import { isV6, parseAddr } from '../../base/netip/index.ts';
import { goQuote } from '../../base/quote.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { hasPorts, parseProtocol } from './protocol.ts';

/** Ports from `first` to `last`, both inside. All ports are 0 to 65535. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Ports of one protocol; without one, of TCP, UDP and both ICMPs. */
export interface ProtocolPorts {
  readonly protocol: number | undefined;
  readonly ports: readonly PortRange[];
}

export const allPorts: PortRange = { first: 0, last: 65_535 };

export function isAllPorts(range: PortRange): boolean {
  return range.first === 0 && range.last === 65_535;
}

/** Reads `*`, `22`, `80,443`, `8000-8100`. Port 0 cannot be written. */
export function parsePorts(text: string): Result<readonly PortRange[], string> {
  if (text === '*') return ok([allPorts]);
  const ranges: PortRange[] = [];
  for (const part of text.split(',')) {
    const range = parsePortRange(part);
    if (!range.ok) return range;
    ranges.push(range.value);
  }
  return ok(ranges);
}

function parsePortRange(text: string): Result<PortRange, string> {
  const refuse = (why: string): Result<PortRange, string> =>
    err(`port range ${goQuote(text)}: ${why}`);
  if (text === '') return err(`invalid port list: ${goQuote(text)}`);
  const [firstText = '', lastText, ...more] = text.split('-');
  if (more.length > 0) return refuse('too many dashes(-)');
  const first = parsePort(firstText);
  if (first === undefined) return refuse('invalid first integer');
  const last = lastText === undefined ? first : parsePort(lastText);
  if (last === undefined) return refuse('invalid last integer');
  if (first === 0) return refuse("first port must be >0, or use '*' for wildcard");
  if (first > last) return refuse('first port must be >= last port');
  return ok({ first, last });
}

function parsePort(text: string): number | undefined {
  if (!/^[0-9]{1,20}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

export interface HostPorts {
  readonly host: string;
  readonly portsText: string;
}

/** Splits `host:ports` at the last colon. IPv6 addresses may stand in brackets, nothing else may. */
export function splitHostPorts(text: string): Result<HostPorts, string> {
  const bare = unbracket(text);
  if (!bare.ok) return bare;
  const colon = bare.value.lastIndexOf(':');
  if (colon < 0) return err('hostport must contain a colon (":")');
  const host = bare.value.slice(0, colon);
  const portsText = bare.value.slice(colon + 1);
  if (host === '') return err(`invalid host: ${goQuote(host)}`);
  if (host.includes(',')) return err('host cannot contain a comma (",")');
  if (portsText === '') return err(`invalid port list: ${goQuote(portsText)}`);
  return ok({ host, portsText });
}

function unbracket(text: string): Result<string, string> {
  if (!text.startsWith('[')) return ok(text);
  const close = text.indexOf(']');
  const host = parseAddr(text.slice(1, Math.max(close, 1)));
  const rest = text.slice(close + 1);
  if (close < 0 || !host.ok || !isV6(host.value) || !/^[:/]/.test(rest)) {
    return err(`square brackets are only valid around IPv6 addresses: ${goQuote(text)}`);
  }
  return ok(text.slice(1, close) + rest);
}

/** Reads one entry of a grant's `ip`: `*`, `443`, `80-443`, `tcp:443`, `icmp:*`, `6:22`. */
export function parseGrantPorts(text: string): Result<ProtocolPorts, string> {
  if (text === '') return err('empty string');
  const colon = text.lastIndexOf(':');
  const portsText = text.slice(colon + 1);
  const protocolText = colon < 0 ? undefined : text.slice(0, colon);
  if (protocolText === '') return err('empty protocol');
  const ports = parsePorts(portsText);
  if (!ports.ok) return ports;
  if (protocolText === undefined || protocolText === '*') {
    return ok({ protocol: undefined, ports: ports.value });
  }
  const protocol = parseProtocol(protocolText);
  if (!protocol.ok) return protocol;
  const refusal = portsRefusal(protocol.value, protocolText, ports.value);
  return refusal === undefined
    ? ok({ protocol: protocol.value, ports: ports.value })
    : err(refusal);
}

/** Why these ports make no sense for this protocol, or undefined. */
export function portsRefusal(
  protocol: number,
  protocolText: string,
  ports: readonly PortRange[],
): string | undefined {
  if (hasPorts(protocol) || ports.every((range) => isAllPorts(range))) return undefined;
  return `protocol does not support specific ports: ${goQuote(protocolText)}, only "*" is allowed`;
}

export function formatPorts(ports: readonly PortRange[]): string {
  return ports.map((range) => formatPortRange(range)).join(',');
}

function formatPortRange(range: PortRange): string {
  if (isAllPorts(range)) return '*';
  return range.first === range.last ? String(range.first) : `${range.first}-${range.last}`;
}
