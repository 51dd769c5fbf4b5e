import { isIP } from 'node:net';
import { err, ok, type Result } from '@postern/core/base';
import { single } from './fields.ts';
import type { Candidate, MeshAddress, ResolveTarget } from './ports.ts';

export const targetFields = {
  app: 'x-dstack-target-app',
  port: 'x-dstack-target-port',
  instance: 'x-dstack-target-instance',
} as const;

const appPattern = /^[0-9a-fA-F]{40}$/;
const instancePattern = /^[0-9a-fA-F]{1,64}$/;
const portPattern = /^[1-9][0-9]{0,4}$/;
/** Where the other end's inbound door is, unless the caller says otherwise. */
export const targetPortDefault = 443;

/**
 * Whom a request is for, by its target fields; undefined where it names nobody. Ids are hex and nothing else, since they
 * become part of a host name; a field that is given twice has two meanings.
 */
export function readTarget(raw: readonly string[]): Result<MeshAddress | undefined, string> {
  const app = single(raw, targetFields.app);
  const port = single(raw, targetFields.port);
  const instance = single(raw, targetFields.instance);
  if (app.isTwice || port.isTwice || instance.isTwice) return err('a target field is given twice');
  if (app.value === undefined) {
    return port.value === undefined && instance.value === undefined
      ? ok(undefined)
      : err(`${targetFields.app} is missing`);
  }
  return meshAddress(app.value, port.value ?? String(targetPortDefault), instance.value);
}

export function meshAddress(
  app: string,
  port: string,
  instance: string | undefined,
): Result<MeshAddress, string> {
  if (!appPattern.test(app)) return err(`${targetFields.app} is not 40 hex digits`);
  if (!portPattern.test(port) || Number(port) > 65_535) {
    return err(`${targetFields.port} is not a port`);
  }
  if (instance !== undefined && !instancePattern.test(instance)) {
    return err(`${targetFields.instance} is not hex`);
  }
  return ok({
    appId: app.toLowerCase(),
    instanceId: instance?.toLowerCase(),
    port: Number(port),
  });
}

const domainPattern =
  /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Where dstack's gateway finds apps: `example.com`, `example.com:8443`, or `fixed/host:port` for one that is everywhere. */
export type GatewayDomain =
  | { readonly kind: 'domain'; readonly domain: string; readonly port: number }
  | { readonly kind: 'fixed'; readonly host: string; readonly port: number };

export function parseGatewayDomain(text: string): Result<GatewayDomain, string> {
  const isFixed = text.startsWith('fixed/');
  const rest = isFixed ? text.slice('fixed/'.length) : text;
  const [host = '', portText, ...more] = rest.split(':');
  const port = portText === undefined ? 443 : Number(portText);
  const isPort = portText === undefined || (portPattern.test(portText) && port <= 65_535);
  const domain = host.toLowerCase();
  if (!isPort || more.length > 0 || !domainPattern.test(domain)) {
    return err(`${text} is not a domain with an optional port`);
  }
  if (isFixed) return ok({ kind: 'fixed', host: domain, port });
  if (isIP(domain) !== 0) return err('apps have no names below an address; use fixed/host:port');
  return ok({ kind: 'domain', domain, port });
}

/**
 * `<instance or app>-<port>s.<domain>`: with the `s` the gateway passes TLS through to the app, unread. Without it, it
 * would be the gateway that we talk to, so that form does not exist here.
 */
export function gatewayCandidate(gateway: GatewayDomain, address: MeshAddress): Candidate {
  if (gateway.kind === 'fixed') {
    const { host, port } = gateway;
    return { host, port, serverName: isIP(host) === 0 ? host : undefined };
  }
  const host = `${address.instanceId ?? address.appId}-${address.port}s.${gateway.domain}`;
  return { host, port: gateway.port, serverName: host };
}

export interface ResolverOptions {
  /** Addresses that the operator wrote down for an app, or for one instance of it (`app/instance`). */
  readonly fixed: ReadonlyMap<string, readonly Candidate[]>;
  /** What the registry knows; asked before the gateway. */
  readonly registry?: ResolveTarget;
  readonly gateway: GatewayDomain | undefined;
}

/** Written down first, then the registry, then the gateway. An address proves nothing: whoever is there is judged. */
export function createResolver({ fixed, registry, gateway }: ResolverOptions): ResolveTarget {
  return async (address) => {
    const { appId, instanceId, port } = address;
    const written =
      (instanceId === undefined ? undefined : fixed.get(`${appId}/${instanceId}:${port}`)) ??
      fixed.get(`${appId}:${port}`);
    if (written !== undefined) return written;
    const known = (await registry?.(address)) ?? [];
    if (known.length > 0) return known;
    return gateway === undefined ? [] : [gatewayCandidate(gateway, address)];
  };
}

/** `host:port` or `[v6]:port` as a candidate. */
export function parseCandidate(text: string): Result<Candidate, string> {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]]+)):([1-9][0-9]{0,4})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) return err(`${text} is not host:port`);
  const isAddress = isIP(host) !== 0;
  if (!isAddress && !domainPattern.test(host.toLowerCase())) return err(`${text}: not a name`);
  return ok({ host, port, serverName: isAddress ? undefined : host.toLowerCase() });
}
