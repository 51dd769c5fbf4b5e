/** IP protocols by name and number, as `proto` and the `ip` field of a grant write them. */
import { goQuote } from '../../base/quote.ts';
import { err, ok, type Result } from '../../base/result.ts';

const numbers: ReadonlyMap<string, number> = new Map([
  ['icmp', 1],
  ['igmp', 2],
  ['ipv4', 4],
  ['ip-in-ip', 4],
  ['tcp', 6],
  ['egp', 8],
  ['igp', 9],
  ['udp', 17],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['ipv6-icmp', 58],
  ['sctp', 132],
  ['fc', 133],
]);

/** The protocols that have ports: TCP, UDP, SCTP. */
const withPorts: ReadonlySet<number> = new Set([6, 17, 132]);

/** What a rule without a protocol opens, on the wire an absent `IPProto`: TCP, UDP, ICMP, ICMPv6. */
export const defaultProtocols: readonly number[] = [6, 17, 1, 58];

export function hasPorts(protocol: number): boolean {
  return withPorts.has(protocol);
}

/** The number of a protocol written as a name or as 1 to 255 without leading zeros. */
export function parseProtocol(text: string): Result<number, string> {
  const name = text.toLowerCase();
  const known = numbers.get(name);
  if (known !== undefined) return ok(known);
  if (/^0[0-9]*$/.test(name)) return err('leading 0 not permitted in protocol number');
  const value = /^[0-9]{1,3}$/.test(name) ? Number(name) : 256;
  if (value <= 255) return ok(value);
  return err(
    `proto name ${goQuote(text)} not known; use protocol number 0-255 or protocol name (icmp, tcp, udp, etc.)`,
  );
}

/** A protocol for people: its name where it has one. */
export function formatProtocol(protocol: number): string {
  for (const [name, value] of numbers) if (value === protocol) return name;
  return String(protocol);
}
