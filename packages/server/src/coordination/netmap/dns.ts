import type { DnsSettings } from '@postern/core/state';
import type { Machine } from './machine.ts';

/** Who serves something, as names of the network say it: `LABEL.svc.BASE-DOMAIN`. */
export interface ServiceAddress {
  /** Labels of a domain name, in lower case. */
  readonly label: string;
  readonly address: string;
}

/** Names of what machines serve are below this one, so that they never meet the name of a machine. */
const servicesName = 'svc';

/** The name under which people reach the gateway. */
const gatewayName = 'ai';
/** Marks the machines that run it. */
const gatewayTag = 'tag:gateway';

interface WireResolver {
  readonly Addr: string;
}

/** `tailcfg.DNSConfig` as JSON. */
export function dnsTextOf(
  dns: DnsSettings,
  baseDomain: string,
  machines: Iterable<Machine>,
  services: readonly ServiceAddress[] = [],
): string {
  const resolvers = dns.nameservers.map(resolver);
  const routes: Record<string, readonly WireResolver[] | null> = {};
  // No resolver: names below it are answered by the client itself, from the map.
  if (dns.magicDns) routes[baseDomain] = null;
  for (const { domain, resolvers: own } of dns.routes) routes[domain] = own.map(resolver);
  return JSON.stringify({
    Proxied: dns.magicDns,
    Domains: [...(dns.magicDns ? [baseDomain] : []), ...dns.searchDomains],
    Routes: routes,
    ...(dns.overrideLocal ? { Resolvers: resolvers } : { FallbackResolvers: resolvers }),
    ExtraRecords: [
      ...recordsOf(dns, baseDomain, machines),
      ...serviceRecords(dns, baseDomain, services),
    ],
  });
}

function resolver(address: string): WireResolver {
  return { Addr: address };
}

interface WireRecord {
  readonly Name: string;
  readonly Type: string;
  readonly Value: string;
}

function recordsOf(
  dns: DnsSettings,
  baseDomain: string,
  machines: Iterable<Machine>,
): readonly WireRecord[] {
  const given = dns.extraRecords.map(({ name, type, value }) => ({
    Name: wholeName(name, baseDomain),
    Type: type,
    Value: value,
  }));
  const gateway = gatewayOf(machines);
  const full = `${gatewayName}.${baseDomain}`;
  if (gateway === undefined || given.some(({ Name }) => Name === full)) return given;
  const own = gateway.record.addresses.map((address) => addressRecord(full, address));
  return [...given, ...own];
}

/** What an operator wrote under such a name stands alone. */
function serviceRecords(
  dns: DnsSettings,
  baseDomain: string,
  services: readonly ServiceAddress[],
): readonly WireRecord[] {
  const given = new Set(dns.extraRecords.map(({ name }) => wholeName(name, baseDomain)));
  return services.flatMap(({ label, address }) => {
    const name = `${label}.${servicesName}.${baseDomain}`;
    return given.has(name) ? [] : [addressRecord(name, address)];
  });
}

function addressRecord(name: string, address: string): WireRecord {
  return { Name: name, Type: address.includes(':') ? 'AAAA' : 'A', Value: address };
}

function wholeName(name: string, baseDomain: string): string {
  return name.includes('.') ? name : `${name}.${baseDomain}`;
}

/** The gateway's machine, where none has the name itself. The one that is there goes before one that is not. */
function gatewayOf(machines: Iterable<Machine>): Machine | undefined {
  let found: Machine | undefined;
  for (const machine of machines) {
    if (machine.record.name === gatewayName) return undefined;
    if (!machine.isActive || !machine.record.tags.includes(gatewayTag)) continue;
    if (found === undefined || rank(machine) < rank(found)) found = machine;
  }
  return found;
}

function rank({ online, record }: Machine): number {
  return record.number + (online ? 0 : Number.MAX_SAFE_INTEGER / 2);
}
