import { readFile } from 'node:fs/promises';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { isPrivate, isTailscaleAddr, parseAddr } from '@postern/core/base/netip';
import type { Config } from '@postern/core/contract';
import { reachReport } from '@postern/core/policy/report';
import type { Environment, Place, PlanSources, TailnetRow } from '../../ops/index.ts';
import { placeOfUrl, secretReader } from '../../adapters/secrets/index.ts';
import { describeProblem, loadConfigFile, parseConfigText } from '../config-file.ts';
import { createLazyEgress } from '../egress.ts';
import type { Settings } from '../settings.ts';
import { policyFileOf } from '../settings.ts';

export interface PlanOptions {
  readonly environment: Environment;
  readonly settings: Settings;
  /** Where the gateway is, as prefixes. */
  readonly gateway: readonly string[];
}

const defaultTailnet = ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'];
const gatewayTag = 'tag:gateway';
/** Of the gateway where nothing says otherwise: seeds of the production picture have 8000. */
const portOf = { production: 8_000, other: 8_080 } as const;
const registryPort = 8_000;

/** Reads what a plan is made from: the configuration file and the policy beside it. */
export async function planSources({
  environment,
  settings,
  gateway,
}: PlanOptions): Promise<Result<PlanSources, string>> {
  const loaded = await configOf(settings);
  if (!loaded.ok) return loaded;
  const config = loaded.value;
  const isProduction = environment === 'production';
  const fallback = isProduction ? portOf.production : portOf.other;
  const meshPort = config.engine?.nodePort ?? 80;
  return ok({
    environment,
    gatewayPort:
      portIn(settings.addresses.gateway?.text ?? config.listeners.gateway.address) ?? fallback,
    edge: edgeOf(config, fallback),
    inference: inferenceOf(config),
    stores: await storesOf(config, settings),
    hosted: hostedOf(config),
    coordination: coordinationOf(config, settings),
    control: controlOf(config, settings),
    tailnet:
      config.engine?.ipv4 === undefined
        ? defaultTailnet
        : [config.engine.ipv4, config.engine.ipv6 ?? 'fd7a:115c:a1e0::/48'],
    gateway: gateway.length > 0 ? gateway : ownPlace(config),
    policy: await policyOf(settings, meshPort),
  });
}

async function configOf({ configFile }: Settings): Promise<Result<Config, string>> {
  const loaded =
    configFile === undefined
      ? parseConfigText('{}', 'no configuration')
      : await loadConfigFile(configFile);
  return loaded.ok ? ok(loaded.value.config) : err(loaded.error.map(describeProblem).join('\n'));
}

/** Where the gateway is by its own listeners, where one of them has an address of a network. */
function ownPlace({ publicEdge, listeners }: Config): readonly string[] {
  for (const text of [publicEdge?.address, listeners.gateway.address]) {
    const host = /^\[?(.+?)\]?:\d+$/.exec(text ?? '')?.[1] ?? '';
    const addr = parseAddr(host);
    if (addr.ok && isPrivate(addr.value)) return [asPrefix(host)];
  }
  return [];
}

function edgeOf({ publicEdge, trustedProxies }: Config, fallback: number): PlanSources['edge'] {
  if (publicEdge === undefined) return undefined;
  const port = portIn(publicEdge.address) ?? fallback;
  return publicEdge.tls === 'balancer'
    ? { kind: 'balancer', port, proxies: trustedProxies.map(asPrefix) }
    : { kind: 'tls', port };
}

/** Providers on machines of our own: at private addresses and names, and those that follow the registry. */
function inferenceOf(config: Config): PlanSources['inference'] {
  return Object.entries(config.providers).flatMap(([id, provider]) => {
    if (provider.kind !== 'openai' && provider.kind !== 'anthropic') return [];
    const because = `providers.${id}`;
    const name = nameOf(config, id);
    if (provider.discover !== undefined) {
      const { nodeType, port } = provider.discover;
      const networks = config.registry?.networks ?? [];
      return [
        { name, hosts: [`type ${nodeType}`], networks, port, because: `${because}.discover` },
      ];
    }
    if (provider.baseUrl === undefined || !URL.canParse(provider.baseUrl)) return [];
    const url = new URL(provider.baseUrl);
    return isOwnHost(url.hostname) ? [{ name, ...hostOf(url), because }] : [];
  });
}

/** By the alias that leads there first: `instant` is the Instant GPU. */
function nameOf({ aliases }: Config, id: string): string {
  const alias = Object.entries(aliases).find(([, targets]) =>
    JSON.stringify(targets).includes(`"${id}/`),
  )?.[0];
  const words = alias ?? id;
  return `${words.charAt(0).toUpperCase()}${words.slice(1)} GPU`;
}

function hostedOf(config: Config): PlanSources['hosted'] {
  const usual: Readonly<Record<string, string>> = {
    openai: 'https://api.openai.com',
    anthropic: 'https://api.anthropic.com',
  };
  return Object.entries(config.providers).flatMap(([id, provider]) => {
    if (provider.kind === 'builtin') return [];
    if ('discover' in provider && provider.discover !== undefined) return [];
    const text = 'baseUrl' in provider ? provider.baseUrl : undefined;
    const base = text ?? usual[provider.kind] ?? 'https://bedrock-runtime.amazonaws.com';
    if (!URL.canParse(base)) return [];
    const url = new URL(base);
    return isOwnHost(url.hostname)
      ? []
      : [{ name: id, ...hostOf(url), because: `providers.${id}` }];
  });
}

/** The host and port of a store; its user and its password stay where they are. */
async function storesOf({ store }: Config, { env }: Settings): Promise<PlanSources['stores']> {
  const egress = createLazyEgress();
  const places: PlanSources['stores'][number][] = [];
  for (const [name, source, port] of [
    ['PostgreSQL', store?.postgres?.url, 5_432],
    ['Valkey', store?.valkey?.url, 6_379],
  ] as const) {
    if (source === undefined) continue;
    const read = await secretReader(source, { env, nowMs: Date.now, egress: egress.egress })();
    const because = `store.${name === 'Valkey' ? 'valkey' : 'postgres'}`;
    const place = read.ok ? placeOfUrl(read.value) : undefined;
    const at =
      place === undefined
        ? { hosts: [], networks: [], port }
        : hostAt(place.host, place.port ?? port);
    places.push({ name, ...at, because });
  }
  await egress.close();
  return places;
}

function coordinationOf({ engine }: Config, settings: Settings): PlanSources['coordination'] {
  const url = settings.url ?? engine?.url;
  if (url === undefined) return undefined;
  const isOff = (text: string | undefined): boolean => text === 'off';
  const tcp = [
    portIn(settings.env['POSTERN_COORDINATION_ADDR'] ?? engine?.address) ?? 8_090,
    ...(isOff(engine?.derpAddress) || url.startsWith('https:')
      ? []
      : [portIn(engine?.derpAddress) ?? 3_343]),
  ];
  return {
    tcp,
    stun: isOff(engine?.stunAddress) ? undefined : (portIn(engine?.stunAddress) ?? 3_478),
  };
}

function controlOf({ registry }: Config, { addresses }: Settings): number | undefined {
  if (registry === undefined) return undefined;
  const text = addresses.control?.text ?? registry.address;
  // On loopback nobody else reaches it, whatever a firewall says.
  if (text === undefined || /^(?:127\.|\[::1\])/.test(text)) return undefined;
  return portIn(text) ?? registryPort;
}

async function policyOf(settings: Settings, meshPort: number): Promise<PlanSources['policy']> {
  const none = { toGateway: [], fromGateway: [] };
  const file = policyFileOf(settings);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return { ...none, problem: `${file} cannot be read` };
  const inventory = { users: [], nodes: [] };
  const to = reachReport(text, inventory, { to: gatewayTag });
  const from = reachReport(text, inventory, { from: gatewayTag });
  if (!to.ok) return { ...none, problem: to.error };
  return {
    toGateway: rowsOf(
      to.value.rows.map(({ sources, network }) => ({ names: sources, network })),
      meshPort,
    ),
    fromGateway: from.ok
      ? rowsOf(
          from.value.rows.map(({ targets, network }) => ({ names: targets, network })),
          meshPort,
        )
      : [],
    problem: undefined,
  };
}

/** `tcp:22,80-90` as ports; a range or everything is the gateway's own port. */
function rowsOf(
  rows: readonly { readonly names: readonly string[]; readonly network: string }[],
  meshPort: number,
): readonly TailnetRow[] {
  return rows.flatMap(({ names, network }) => {
    if (network === 'nothing') return [];
    // Ports without a protocol are of both; see `formatOpening`.
    const tcp = /^(?:tcp:)?(?<ports>[\d,*-]+)(?: |$)/.exec(network)?.groups?.['ports'];
    if (tcp === undefined) return [];
    if (tcp === '*') return [{ sources: names, ports: [] }];
    const ports = tcp.split(',').flatMap((word) => {
      const [low = 0, high = low] = word.split('-').map(Number);
      return low === high ? [low] : meshPort >= low && meshPort <= high ? [meshPort] : [low];
    });
    return [{ sources: names, ports }];
  });
}

function hostOf(url: URL): Pick<Place, 'hosts' | 'networks' | 'port'> {
  const host = url.hostname.replaceAll(/^\[|\]$/g, '');
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return hostAt(host, port);
}

function hostAt(host: string, port: number): Pick<Place, 'hosts' | 'networks' | 'port'> {
  return parseAddr(host).ok
    ? { hosts: [], networks: [asPrefix(host)], port }
    : { hosts: [host], networks: [], port };
}

function asPrefix(text: string): string {
  if (text.includes('/')) return text;
  return text.includes(':') ? `${text}/128` : `${text}/32`;
}

/** Private and shared addresses, names without a dot, and names that only private networks have. */
function isOwnHost(hostname: string): boolean {
  const host = hostname.replaceAll(/^\[|\]$/g, '');
  const addr = parseAddr(host);
  if (addr.ok) return isPrivate(addr.value) || isTailscaleAddr(addr.value);
  return (
    (!host.includes('.') && host !== 'localhost') ||
    /\.(?:internal|local|lan|home\.arpa|ts\.net|tailnet)$/.test(host)
  );
}

function portIn(text: string | undefined): number | undefined {
  const found = Number(/(?:^|:)(\d{1,5})$/.exec(text ?? '')?.[1]);
  return found > 0 ? found : undefined;
}
