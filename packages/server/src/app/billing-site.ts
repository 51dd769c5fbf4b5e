import { lookup } from 'node:dns/promises';
import { parseAddr } from '@postern/core/base/netip';
import type { Config } from '@postern/core/contract';
import type { Place, Site } from '@postern/core/price';
import { siteOf } from '@postern/core/price';
import { discoveredSite } from './registry/places.ts';
import { proxyOfEnvironment } from './way-out.ts';

export interface BillingSitesOptions {
  readonly nowMs: () => number;
  /** What a provider's `"via": "environment"` is read from. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The machine's resolver; rejects where a name does not resolve. */
  readonly addressesOf?: (host: string) => Promise<readonly string[]>;
}

/** How long a host name's addresses are believed: prices hang on them. */
const addressesKeptMs = 300_000;
/** How long nobody asks again for a name that did not resolve: each question may take a thread for seconds. */
const unresolvedKeptMs = 1_000;

interface Known {
  readonly site: Site | undefined;
  readonly untilMs: number;
}

/**
 * Who bills for a provider: by its address, which for a name is what it resolves to now. Undefined where the name does not resolve, which
 * says nothing about who answers to it. Behind a proxy, which resolves the name by itself, what it is here says nothing either: the
 * name alone counts, and makes nobody's models free.
 */
export function billingSites(
  { providers, registry }: Pick<Config, 'providers' | 'registry'>,
  { nowMs, env, addressesOf = resolved }: BillingSitesOptions,
): (provider: string) => Site | undefined | Promise<Site | undefined> {
  const known = new Map<string, Known>();
  const asked = new Map<string, Promise<Site | undefined>>();
  const keep = (id: string, site: Site | undefined): Site | undefined => {
    const keptMs = site === undefined ? unresolvedKeptMs : addressesKeptMs;
    known.set(id, { site, untilMs: nowMs() + keptMs });
    return site;
  };
  const resolve = async (id: string, place: Place, host: string): Promise<Site | undefined> => {
    try {
      return keep(id, siteOf({ ...place, addresses: await addressesOf(host) }));
    } catch {
      return keep(id, undefined);
    } finally {
      asked.delete(id);
    }
  };
  return (id) => {
    const remembered = known.get(id);
    if (remembered !== undefined && nowMs() < remembered.untilMs) return remembered.site;
    const config = providers[id];
    if (config !== undefined && 'discover' in config && config.discover !== undefined)
      return discoveredSite(registry?.networks ?? []);
    // Machines of the mesh are our own; their base URL is a name that nobody resolves.
    if (config !== undefined && 'attested' in config && config.attested?.via === 'mesh')
      return { kind: 'self-hosted' };
    // `builtin` needs no configuration.
    const kind = config?.kind ?? 'builtin';
    const baseUrl = config !== undefined && 'baseUrl' in config ? config.baseUrl : undefined;
    const place: Place = { kind, ...(baseUrl === undefined ? {} : { baseUrl }) };
    const site = siteOf(place);
    const host = site.kind === 'unlisted' ? nameIn(baseUrl) : undefined;
    if (host === undefined || isProxied(config, env)) return keep(id, site);
    const asking = asked.get(id) ?? resolve(id, place, host);
    asked.set(id, asking);
    return asking;
  };
}

function isProxied(
  config: Config['providers'][string] | undefined,
  env: BillingSitesOptions['env'],
): boolean {
  if (config === undefined || !('via' in config) || config.via === 'direct') return false;
  if (config.via !== 'environment') return true;
  const proxy = proxyOfEnvironment(new URL(config.baseUrl), env);
  return !proxy.ok || proxy.value !== undefined;
}

/** The host of a URL where it is a name. */
function nameIn(baseUrl: string | undefined): string | undefined {
  if (baseUrl === undefined || !URL.canParse(baseUrl)) return undefined;
  const host = new URL(baseUrl).hostname.replace(/^\[|\]$/g, '');
  return host === '' || parseAddr(host).ok ? undefined : host;
}

async function resolved(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
