import type { DnsSettings } from '@postern/core/state';
import type { Machine } from './machine.ts';

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
    ExtraRecords: recordsOf(dns, baseDomain, machines),
  });
}

function resolver(address: string): WireResolver {
  return { Addr: address };
}

function recordsOf(
  dns: DnsSettings,
  baseDomain: string,
  machines: Iterable<Machine>,
): readonly { readonly Name: string; readonly Type: string; readonly Value: string }[] {
  const given = dns.extraRecords.map(({ name, type, value }) => ({
    Name: name.includes('.') ? name : `${name}.${baseDomain}`,
    Type: type,
    Value: value,
  }));
  const gateway = gatewayOf(machines);
  const full = `${gatewayName}.${baseDomain}`;
  if (gateway === undefined || given.some(({ Name }) => Name === full)) return given;
  const own = gateway.record.addresses.map((address) => ({
    Name: full,
    Type: address.includes(':') ? 'AAAA' : 'A',
    Value: address,
  }));
  return [...given, ...own];
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
