import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { MeshConfig } from '@postern/core/contract';
import type { Candidate, GatewayDomain, MeshDoors, Service } from '../../mesh/index.ts';
import { meshAddress, parseCandidate, parseGatewayDomain } from '../../mesh/index.ts';
import type { HostPort } from '../addresses.ts';
import { loopback, parseAddress } from '../addresses.ts';

/** Where the mesh listens: what a configuration and the environment say, read once. */
export interface MeshPlan {
  readonly doors: MeshDoors;
}

type Env = Readonly<Record<string, string | undefined>>;

const outboundPort = 8_091;
const authPort = 8_092;
/** Port 443 needs rights that a program should not have: behind it stands this one. */
const inboundPort = 8_443;

/** `registrySocket`: where the registry of this process answers apps; undefined where it has none. */
export function planMesh(
  config: MeshConfig,
  env: Env,
  registrySocket?: string,
): Result<MeshPlan, string> {
  const { outbound, auth } = config;
  const out = placesOf(env['POSTERN_MESH_OUTBOUND_ADDR'] ?? outbound.address, outboundPort);
  if (!out.ok) return err(`mesh.outbound.address: ${out.error}`);
  const asked = placesOf(env['POSTERN_MESH_AUTH_ADDR'] ?? auth.address, authPort);
  if (!asked.ok) return err(`mesh.auth.address: ${asked.error}`);
  const inbound = inboundOf(config, env, registrySocket);
  if (!inbound.ok) return inbound;
  const forwards = forwardsOf(config);
  if (!forwards.ok) return forwards;
  return ok({
    doors: {
      outbound: outbound.enabled ? out.value : [],
      auth: auth.enabled ? asked.value : [],
      inbound: inbound.value,
      forwards: forwards.value,
    },
  });
}

/** The domain that the configuration names. */
export function gatewayOf({ outbound }: MeshConfig): Result<GatewayDomain | undefined, string> {
  if (outbound.gatewayDomain === undefined) return ok(undefined);
  const gateway = parseGatewayDomain(outbound.gatewayDomain);
  return gateway.ok ? gateway : err(`mesh.outbound.gatewayDomain: ${gateway.error}`);
}

function placesOf(text: string | undefined, port: number): Result<readonly HostPort[], string> {
  return text === undefined || text === '' ? ok(loopback(port)) : parseAddress(text);
}

function inboundOf(
  config: MeshConfig,
  env: Env,
  registrySocket: string | undefined,
): Result<MeshDoors['inbound'], string> {
  const doors: { bind: HostPort; service: Service }[] = [];
  for (const [index, { port, address, backend, protocol }] of config.inbound.entries()) {
    const named = index === 0 ? env['POSTERN_MESH_INBOUND_ADDR'] : undefined;
    const text = named ?? address ?? `:${port === 443 ? inboundPort : port}`;
    const places = parseAddress(text);
    if (!places.ok) return err(`mesh.inbound/${index}: ${places.error}`);
    if (backend === 'registry' && (registrySocket === undefined || protocol !== 'http')) {
      return err(`mesh.inbound/${index}: there is no registry here for this protocol`);
    }
    const place = backend === 'registry' ? `unix:${registrySocket ?? ''}` : backend;
    const service: Service = { port, protocol, backend: backendOf(place) };
    doors.push(...places.value.map((bind) => ({ bind, service })));
  }
  return ok(doors);
}

function backendOf(text: string): Service['backend'] {
  if (text.startsWith('unix:')) return { kind: 'unix', path: text.slice('unix:'.length) };
  const at = text.lastIndexOf(':');
  const host = text.slice(0, at).replace(/^\[|\]$/g, '');
  return { kind: 'tcp', host, port: Number(text.slice(at + 1)) };
}

function forwardsOf(config: MeshConfig): Result<MeshDoors['forwards'], string> {
  const doors: MeshDoors['forwards'][number][] = [];
  for (const [index, { address, app, port, instance }] of config.forwards.entries()) {
    const places = parseAddress(address);
    const target = meshAddress(app, String(port), instance);
    if (!places.ok) return err(`mesh.forwards/${index}: ${places.error}`);
    if (!target.ok) return err(`mesh.forwards/${index}: ${target.error}`);
    doors.push(...places.value.map((bind) => ({ bind, address: target.value })));
  }
  return ok(doors);
}

/** The addresses that the configuration names, by `app:port` or `app/instance:port`. */
export function fixedTargets({
  outbound,
}: MeshConfig): Result<ReadonlyMap<string, readonly Candidate[]>, string> {
  const fixed = new Map<string, readonly Candidate[]>();
  for (const [key, texts] of Object.entries(outbound.targets)) {
    const candidates: Candidate[] = [];
    for (const text of texts) {
      const candidate = parseCandidate(text);
      if (!candidate.ok) return err(`mesh.outbound.targets/${key}: ${candidate.error}`);
      candidates.push(candidate.value);
    }
    fixed.set(key.toLowerCase(), candidates);
  }
  return ok(fixed);
}
