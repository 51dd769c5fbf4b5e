import type { ProviderConfig } from '@postern/core/contract';
import { parsePrefix, prefixCovers } from '@postern/core/base/netip';
import { refuse } from '@postern/core/errors';
import type { Site } from '@postern/core/price';
import type { Instance } from '@postern/core/registry';
import type { HttpProviderOptions } from '../../adapters/provider-http/index.ts';
import { createHttpProvider } from '../../adapters/provider-http/index.ts';
import type { Provider } from '../../gateway/index.ts';
import type { Members } from './departures.ts';
import { Departures } from './departures.ts';

/** What a provider that follows the registry asks of it. */
export interface Discovery {
  /** The live instances of a type, without those that are known to fail. */
  discover(nodeType: string): readonly Instance[];
  /** All that have a lease; undefined while there is no registry. */
  leased(nodeType: string): readonly Instance[] | undefined;
}

type HttpConfig = Extract<ProviderConfig, { kind: 'openai' | 'anthropic' }>;

export interface DiscoveredPlaces {
  readonly nodeType: string;
  /** For people; nothing is ever sent there. */
  readonly baseUrl: string;
  readonly endpoints: () => readonly string[];
  readonly members: Members;
}

/** Where a provider runs that follows the registry; undefined where it has an address of its own. */
export function discoveredPlaces(
  { kind, discover: rule }: HttpConfig,
  discovery: Discovery | undefined,
): DiscoveredPlaces | undefined {
  if (rule === undefined) return undefined;
  const { nodeType, port, scheme, path = kind === 'openai' ? '/v1' : '' } = rule;
  const urlsOf = (instances: readonly Instance[]): readonly string[] =>
    instances.flatMap((instance) => {
      const [address] = instance.addresses;
      if (address === undefined) return [];
      const host = address.includes(':') ? `[${address}]` : address;
      return [`${scheme}://${host}:${instance.port ?? port}${path}`];
    });
  return {
    nodeType,
    baseUrl: `${scheme}://${nodeType.toLowerCase()}.registry.invalid${path}`,
    endpoints: () => urlsOf(discovery?.discover(nodeType) ?? []),
    members: () => {
      const leased = discovery?.leased(nodeType);
      return leased === undefined ? undefined : urlsOf(leased);
    },
  };
}

/** A provider whose machines come and go. While there is none, it says so and dials nobody. */
export function withPlaces(
  places: DiscoveredPlaces | undefined,
  options: HttpProviderOptions,
): Provider {
  if (places === undefined) return createHttpProvider(options);
  const { endpoints, nodeType, members } = places;
  const provider = createHttpProvider({ ...options, endpoints });
  const departures = new Departures(members);
  const nobody = () =>
    refuse('upstream_unavailable', `No instance of type "${nodeType}" is registered now.`);
  return {
    ...provider,
    list: (signal) =>
      endpoints().length === 0 ? Promise.resolve(nobody()) : provider.list(signal),
    call: (call) => {
      const { endpoint = '' } = call;
      const at = endpoint === '' ? endpoints()[0] : endpoint;
      return at === undefined ? nobody() : departures.call(provider, call, at);
    },
  };
}

/** Loopback, private (RFC 1918, RFC 4193) and shared (RFC 6598) addresses: nobody else's machines. */
const ownNetworks = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  'fc00::/7',
  '::1/128',
].flatMap(prefixesOf);

function prefixesOf(text: string) {
  const prefix = parsePrefix(text);
  return prefix.ok ? [prefix.value] : [];
}

/** Who bills for what the registry finds: nobody, where it only finds machines of our own networks. */
export function discoveredSite(networks: readonly string[]): Site {
  const isOwn = networks.every((text) =>
    prefixesOf(text).some((prefix) => ownNetworks.some((own) => prefixCovers(own, prefix))),
  );
  return { kind: isOwn && networks.length > 0 ? 'self-hosted' : 'unlisted' };
}
