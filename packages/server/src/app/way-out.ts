import type { Result } from '@postern/core/base';
import { ok, Secret } from '@postern/core/base';
import { parseAddr, parsePrefixOrAddr, prefixContains } from '@postern/core/base/netip';
import type { ViaConfig } from '@postern/core/contract';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { WayReader } from '../adapters/provider-http/index.ts';
import { secretReader } from '../adapters/secrets/index.ts';
import type { Egress, OutboundProxy } from '../http/index.ts';

export interface WaySurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  readonly egress: Egress;
}

/** Variables of proxies count only for a provider that says `"via": "environment"`. */
export function wayOf(via: ViaConfig, surroundings: WaySurroundings): WayReader | undefined {
  if (via === 'direct') return undefined;
  if (via === 'environment')
    return (url) => Promise.resolve(proxyOfEnvironment(url, surroundings.env));
  if (typeof via === 'string') {
    const proxy = parseProxy(via);
    return () => Promise.resolve(proxy === undefined ? notUsable('via') : ok(proxy));
  }
  const proxy = parseProxy(via.url);
  const password = secretReader(via.password, surroundings);
  return async () => {
    if (proxy === undefined) return notUsable('via');
    const secret = await password();
    if (!secret.ok) return secret;
    return ok({ ...proxy, credentials: { user: via.user, password: secret.value } });
  };
}

function notUsable(where: string): Result<never, Refusal> {
  return refuse(
    'egress_refused',
    `${where} names no proxy that is usable here; write socks5h://HOST:PORT or http://HOST:PORT.`,
  );
}

const kinds: Readonly<Record<string, OutboundProxy['kind']>> = {
  'socks5h:': 'socks5',
  'http:': 'http',
};
const defaultPorts = { socks5: 1_080, http: 80 } as const;

export function parseProxy(text: string): OutboundProxy | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const kind = kinds[url.protocol];
  const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (kind === undefined || hostname === '') return undefined;
  const port = url.port === '' ? defaultPorts[kind] : Number(url.port);
  if (port === 0) return undefined;
  if (url.username === '') return { kind, hostname, port };
  const user = decoded(url.username);
  const password = decoded(url.password);
  if (user === undefined || password === undefined) return undefined;
  return { kind, hostname, port, credentials: { user, password: new Secret(password) } };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** HTTPS_PROXY or HTTP_PROXY by the kind of address, else ALL_PROXY; lower case first, as curl reads them. */
export function proxyOfEnvironment(
  url: URL,
  env: Readonly<Record<string, string | undefined>>,
): Result<OutboundProxy | undefined, Refusal> {
  const variable = (name: string): string | undefined => {
    const value = env[name] ?? env[name.toUpperCase()];
    return value === '' ? undefined : value;
  };
  const text =
    variable(url.protocol === 'https:' ? 'https_proxy' : 'http_proxy') ?? variable('all_proxy');
  if (text === undefined || isExcepted(url, variable('no_proxy') ?? '')) return ok(undefined);
  const proxy = parseProxy(text.includes('://') ? text : `http://${text}`);
  return proxy === undefined ? notUsable('The proxy variable of the environment') : ok(proxy);
}

/** NO_PROXY: names with everything below them, addresses, prefixes, each with a port or without; `*` is everything. */
function isExcepted(url: URL, list: string): boolean {
  const host = url.hostname
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => covers(entry.toLowerCase(), host, port));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  const whole = parsePrefixOrAddr(entry);
  const withPort = whole.ok ? undefined : /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(entry);
  if (withPort !== null && withPort !== undefined && withPort[3] !== port) return false;
  const name = (withPort?.[1] ?? withPort?.[2] ?? entry).replace(/^\*?\.?/, '');
  const prefix = parsePrefixOrAddr(name);
  const address = parseAddr(host);
  if (prefix.ok) return address.ok && prefixContains(prefix.value, address.value);
  return host === name || host.endsWith(`.${name}`);
}
