import { err, ok, type Result } from '@postern/core/base';
import { formatAddr, parseAddr, unmap } from '@postern/core/base/netip';

/** A `Host` value or an authority, taken apart. Names are in lower case without a final dot, addresses canonical. */
export interface HostName {
  readonly name: string;
  /** Digits as written; undefined where none was given. */
  readonly port: number | undefined;
}

const authority = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?$/;
const portMax = 65_535;

/** RFC 9110 section 7.2 without user info, percent-encoding and empty names, which no client of ours sends. */
export function parseHost(text: string): Result<HostName, string> {
  const match = authority.exec(text);
  if (match === null) return err('Host is not a name or an address with an optional port');
  const [, bracketed, plain, portText] = match;
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && port > portMax) return err('Host has a port above 65535');
  const name = bracketed === undefined ? plainName(plain ?? '') : canonicalAddress(bracketed);
  if (name === undefined) return err('Host is not a valid name or address');
  return ok({ name, port });
}

/** `Host` names are compared in one form: lower case, no final dot, addresses as netip prints them. */
export function canonicalHost(text: string): string {
  const inner = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  return canonicalAddress(inner) ?? inner.toLowerCase().replace(/\.$/, '');
}

function plainName(text: string): string | undefined {
  const name = canonicalHost(text);
  return name === '' || name.startsWith('.') || name.includes('..') ? undefined : name;
}

function canonicalAddress(text: string): string | undefined {
  const parsed = parseAddr(text);
  return parsed.ok ? formatAddr(unmap(parsed.value)) : undefined;
}

const originPorts: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

/**
 * Whether a browser's `Origin` is the very origin that `host` was addressed by. A page on another port of the same
 * machine is another origin.
 */
export function isSameOrigin(origin: string, host: HostName): boolean {
  const scheme = /^(https?:)\/\/([^/?#@\\\s]+)$/.exec(origin);
  const [, protocol, rest] = scheme ?? [];
  if (protocol === undefined || rest === undefined) return false;
  const parsed = parseHost(rest);
  if (!parsed.ok || parsed.value.name !== host.name) return false;
  const defaultPort = originPorts[protocol];
  return (parsed.value.port ?? defaultPort) === (host.port ?? defaultPort);
}
