import type { JsonObject } from '@postern/core/base';
import { err, isJsonObject, ok } from '@postern/core/base';
import { parseAddr } from '@postern/core/base/netip';
import type { Config, ProviderConfig } from '@postern/core/contract';
import { currentPolicy } from '@postern/core/state';
import type { PolicyTools } from '../../control/policy/index.ts';
import { reachOfPolicy } from '../../control/policy/index.ts';
import type { Egress, Listener } from '../../http/index.ts';
import type {
  EdgeProbe,
  ForgedProbe,
  InferencePlace,
  InferenceReach,
  Known,
  OwnListener,
  StoreLink,
} from '../../ops/index.ts';
import { exposureOf } from '../../ops/index.ts';
import { readLink, secretReader } from '../../adapters/secrets/index.ts';
import type { placesOfRegistry } from './registry-places.ts';
import type { Sight } from './sight.ts';

/** APIs of vendors, for everybody: not anybody's own inference. A leading dot covers the names below. */
const vendorHosts = [
  'api.openai.com',
  'api.anthropic.com',
  '.amazonaws.com',
  '.openai.azure.com',
  '.services.ai.azure.com',
  '.googleapis.com',
  'api.mistral.ai',
  'api.groq.com',
  'api.deepseek.com',
  'api.x.ai',
  'api.cohere.com',
  'api.together.xyz',
  'api.fireworks.ai',
  'openrouter.ai',
] as const;

export function isVendorHost(host: string): boolean {
  return vendorHosts.some((each) => (each.startsWith('.') ? host.endsWith(each) : host === each));
}

/** Where providers run: as configured, and where live instances of the registry are. */
export async function placesOf(
  config: Config,
  sight: Sight,
  discovered: ReturnType<typeof placesOfRegistry>,
): Promise<readonly InferencePlace[]> {
  const written = Object.entries(config.providers).flatMap(([provider, each]) => {
    const url = urlOf(each);
    return url === undefined ? [] : [{ provider, url, isWritten: true }];
  });
  const places = [...written, ...discovered.map((each) => ({ ...each, isWritten: false }))];
  return Promise.all(places.map((each) => placeOf(each, sight)));
}

function urlOf(provider: ProviderConfig): URL | undefined {
  if (provider.kind === 'builtin') return undefined;
  if (provider.kind === 'bedrock') {
    if (provider.endpoint !== undefined) return new URL(provider.endpoint);
    return new URL(`https://bedrock-runtime.${provider.region ?? 'us-east-1'}.amazonaws.com`);
  }
  return provider.discover === undefined ? new URL(provider.baseUrl) : undefined;
}

async function placeOf(
  { provider, url, isWritten }: { provider: string; url: URL; isWritten: boolean },
  sight: Sight,
): Promise<InferencePlace> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const isAddress = parseAddr(host).ok;
  const isLoopback = isAddress && exposureOf(host) === 'loopback';
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return {
    provider,
    host,
    port,
    isVendor: isVendorHost(host),
    addresses: isAddress ? ok([host]) : await sight.resolve(host),
    // The own machine needs no name, and nobody wrote the address of an instance of the registry.
    isLiteral: isAddress && !isLoopback && isWritten,
  };
}

/** Who reaches each endpoint that is a machine of the coordinated network, by the policy in force. */
export async function reachOf(
  places: readonly InferencePlace[],
  tools: PolicyTools,
): Promise<Known<readonly InferenceReach[]>> {
  const nodes = tools.ports.inventory().nodes;
  if (nodes.length === 0) return ok([]);
  const { formatAddr } = await import('@postern/core/base/netip');
  const known = new Set(nodes.flatMap(({ addresses }) => addresses.map(formatAddr)));
  const found: InferenceReach[] = [];
  for (const { provider, addresses } of places) {
    for (const target of addresses.ok ? addresses.value : []) {
      if (!known.has(target)) continue;
      // oxlint-disable-next-line no-await-in-loop -- a handful of endpoints; each answer is some milliseconds of thinking
      const reach = await reachOfPolicy(tools, { to: target });
      if (!reach.ok) return err(reach.error.message);
      found.push({ provider, target, rows: reach.value.rows });
    }
  }
  return ok(found);
}

export function ownListeners(listeners: readonly Listener[]): readonly OwnListener[] {
  return listeners.map(({ kind, address, port }) => {
    const match = /^(?:\[([^\]]+)\]|([^:]+)):\d+$/.exec(address);
    return { kind, host: match?.[1] ?? match?.[2], port, address };
  });
}

const probeTimeouts = { connectMs: 2_000, firstByteMs: 5_000, idleMs: 2_000, totalMs: 6_000 };
/** A name that is nobody's: if it comes back, it was believed. */
const forgedLogin = 'forged-by-postern-check@example.com';
const answerBytesMax = 65_536;

/** Asks our own listeners as somebody who writes identity headers. Only those that take plain HTTP over TCP. */
export async function forgedProbes(
  listeners: readonly OwnListener[],
  egress: Egress,
): Promise<Known<readonly ForgedProbe[]>> {
  const asked = listeners.filter(
    ({ kind, host }) => host !== undefined && (kind === 'gateway' || kind === 'tailnet'),
  );
  const probes: ForgedProbe[] = [];
  for (const { address } of asked) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other: nothing here is in a hurry
    const answered = await egress({
      method: 'GET',
      url: new URL(`http://${callable(address)}/whoami`),
      headers: {
        'tailscale-user-login': forgedLogin,
        'tailscale-user-name': forgedLogin,
        'x-dstack-app-id': forgedLogin,
        'x-forwarded-user': forgedLogin,
      },
      signal: AbortSignal.timeout(probeTimeouts.totalMs),
      timeouts: probeTimeouts,
      // Our own listener, at the address that it opened.
      permission: { internal: true },
    });
    if (!answered.ok) return err(`${address}: ${answered.error.message}`);
    // oxlint-disable-next-line no-await-in-loop -- belongs to the call before it
    const body = await answered.value.readAll(answerBytesMax);
    const text = body.ok ? Buffer.from(body.value).toString('utf8') : '';
    probes.push({ address, status: answered.value.status, believed: text.includes(forgedLogin) });
  }
  return ok(probes);
}

/** A wildcard is called at loopback. */
function callable(address: string): string {
  return address.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:');
}

/** Whether public TLS listeners say anything to plain HTTP. */
export async function edgeProbes(
  listeners: readonly OwnListener[],
  config: Config,
  egress: Egress,
): Promise<Known<readonly EdgeProbe[]>> {
  if (config.publicEdge === undefined || config.publicEdge.tls === 'balancer') return ok([]);
  const edges = listeners.filter(({ kind }) => kind === 'public');
  return ok(
    await Promise.all(
      edges.map(async ({ address }) => {
        const answered = await egress({
          method: 'GET',
          url: new URL(`http://${callable(address)}/health`),
          headers: {},
          signal: AbortSignal.timeout(probeTimeouts.totalMs),
          timeouts: probeTimeouts,
          permission: { internal: true },
        });
        const status = answered.ok ? answered.value.status : undefined;
        if (answered.ok) answered.value.cancel();
        // Node answers 400 to what is no handshake, and closes: nothing of ours was said.
        return { address, plainStatus: status === 400 ? undefined : status };
      }),
    ),
  );
}

/** Tries what must not be possible: a call to the metadata address that nobody allowed. */
export async function egressRefuses(egress: Egress): Promise<Known<boolean>> {
  const answered = await egress({
    method: 'GET',
    url: new URL('http://169.254.169.254/latest/meta-data/'),
    headers: {},
    signal: AbortSignal.timeout(probeTimeouts.totalMs),
    timeouts: probeTimeouts,
    permission: { internal: false },
  });
  if (answered.ok) {
    answered.value.cancel();
    return ok(false);
  }
  return ok(answered.error.code === 'egress_refused');
}

/** What the policy file says that is not in force; undefined where both are the same. */
export async function driftOf({ control, ports }: PolicyTools): Promise<Known<string | undefined>> {
  const { file, text, problem } = await ports.candidate();
  if (problem !== undefined) return err(`${file}: ${problem}`);
  if (text === undefined) return ok(undefined);
  const { policyHash } = await import('@postern/core/policy/change');
  const { sha256OfBytes } = await import('../../control/policy/assess.ts');
  const digest = policyHash(text, { sha256Hex: sha256OfBytes(control.system.sha256Hex) });
  const inForce = currentPolicy(control.snapshot().policy);
  return ok(digest === inForce?.digest ? undefined : `${file} has a change that is not in force.`);
}

/** The policy that decides, as plain data. */
export async function policyInForce({
  control,
  ports,
}: PolicyTools): Promise<JsonObject | undefined> {
  const text = currentPolicy(control.snapshot().policy)?.text ?? ports.builtIn()?.text;
  if (text === undefined) return undefined;
  const { parseDocument } = await import('@postern/core/base/hujson');
  const parsed = parseDocument(text);
  const value = parsed.ok ? parsed.value.plain.value : undefined;
  return value !== undefined && isJsonObject(value) ? value : undefined;
}

/** Whether links to shared stores are in TLS, or never leave the machine. */
export async function storeLinks(
  { store }: Config,
  surroundings: Parameters<typeof secretReader>[1],
): Promise<Known<readonly StoreLink[]>> {
  const links: StoreLink[] = [];
  for (const [name, source] of [
    ['postgres', store?.postgres?.url],
    ['valkey', store?.valkey?.url],
  ] as const) {
    if (source === undefined) continue;
    // oxlint-disable-next-line no-await-in-loop -- two at most
    const link = await readLink(secretReader(source, surroundings));
    if (!link.ok) return err(`${name}: ${link.error}`);
    const { scheme, host, sslMode } = link.value;
    const isTls = scheme === 'rediss' || /^(?:require|verify-)/.test(sslMode);
    const exposure = exposureOf(host);
    const isLocal =
      host === '' || host === 'localhost' || exposure === 'loopback' || exposure === 'mesh';
    links.push({ name, isProtected: isTls || isLocal });
  }
  return ok(links);
}
