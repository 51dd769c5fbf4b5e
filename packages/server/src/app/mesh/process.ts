import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Config, MeshConfig } from '@postern/core/contract';
import { currentPolicy } from '@postern/core/state';
import type { MeshDesk } from '../../control/api/index.ts';
import type { Control } from '../../control/index.ts';
import { revisionOf } from '../../control/policy/index.ts';
import type { Egress, Listener } from '../../http/index.ts';
import type { MeshCalls } from '../attested/index.ts';
import type { MeshFacts, MeshPlane, MeshRecord, RevokedLists } from '../../mesh/index.ts';
import type { MeshDecision } from '../../observe/audit/index.ts';
import type { Logger } from '../../observe/index.ts';
import type { AuditTrail } from '../audit.ts';
import type { RegistryPlane } from '../registry/plane.ts';
import type { Settings } from '../settings.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { revokedLists } from './revoked-lists.ts';
import { openRegistryDoor, registrySocket } from './registry-door.ts';
import { registryTargets } from './registry-targets.ts';
import type { MeshRegistry } from './start.ts';

/** The mesh beside the other planes of one process. */
export interface ProcessMesh {
  readonly desk: MeshDesk;
  /** Calls of our own to apps. */
  readonly calls: MeshCalls;
  /** Takes over trust and revocations of a changed configuration. */
  reload(config: Config): void;
  /** For metrics. */
  facts(): MeshFacts;
  close(graceMs: number): Promise<void>;
}

/** What the mesh needs of a registry. */
type KnownRegistry = Pick<RegistryPlane, 'handler' | 'instancesOfApp'>;

export interface ProcessMeshOptions {
  readonly config: () => Config;
  readonly control: Control;
  readonly settings: Settings;
  readonly egress: Egress;
  readonly logger: Logger;
  readonly registry: KnownRegistry | undefined;
  readonly audit: AuditTrail;
  readonly telemetry: Telemetry;
}

/** Opens the mesh where the configuration has one; without it nothing of it is loaded. */
export async function startProcessMesh(
  options: ProcessMeshOptions,
): Promise<Result<ProcessMesh | undefined, string>> {
  const { control, settings, egress, logger, registry } = options;
  const config = options.config().mesh;
  if (config === undefined || !hasDoors(config)) return ok(undefined);
  const [{ startMesh }, { deskOfMesh }] = await Promise.all([
    import('./start.ts'),
    import('./desk.ts'),
  ]);
  const running: { plane?: MeshPlane } = {};
  const door = await openDoor(config, options, () => running.plane);
  if (!door.ok) return err(`mesh.inbound: ${door.error}`);
  const started = await startMesh({
    config,
    mappings: () => options.config().identities.map,
    policy: () => {
      const version = currentPolicy(control.snapshot().policy);
      if (version === undefined) return undefined;
      return { text: version.text, revision: revisionOf(version.digest) };
    },
    env: settings.env,
    stateDir: settings.stateDir,
    egress,
    nowMs: control.system.nowMs,
    logger,
    ...(registry === undefined ? {} : { registry: registryOf(registry, settings.stateDir) }),
    record: (record) => options.audit.mesh(decisionOf(record)),
    beginSpan: (exchange) => options.telemetry.meshSpan(exchange),
  });
  if (!started.ok) {
    await door.value?.close(0);
    return started;
  }
  const mesh = started.value;
  running.plane = mesh.plane;
  const closed = new AbortController();
  followRevocations(control, (lists) => mesh.revoke(lists), closed.signal);
  return ok({
    desk: deskOfMesh(mesh.plane),
    calls: { wayTo: (address) => mesh.plane.wayTo(address) },
    reload: (next) => {
      if (next.mesh === undefined) return;
      void mesh.reload(next.mesh).then((reloaded) => {
        if (!reloaded.ok) logger.error({ problem: reloaded.error }, 'the mesh keeps what it had');
      });
    },
    facts: () => mesh.plane.facts(),
    close: async (graceMs) => {
      closed.abort();
      await mesh.close(graceMs);
      await door.value?.close(graceMs);
    },
  });
}

/** Hands on who is revoked among peers: at once, and whenever the journal has another one. */
function followRevocations(
  control: Control,
  revoke: (lists: RevokedLists) => void,
  signal: AbortSignal,
): void {
  let seen: unknown;
  control.subscribe(({ revocationsById }) => {
    if (revocationsById === seen) return;
    seen = revocationsById;
    revoke(revokedLists(revocationsById));
  }, signal);
}

/** A decision as it goes on the record: no path, no certificate. */
function decisionOf({ edge, outcome, why, code, peer, port, remote }: MeshRecord): MeshDecision {
  return {
    edge,
    outcome,
    app: peer?.appId ?? peer?.spiffeId,
    instance: peer?.instanceId,
    verifiedBy: peer?.kind,
    port,
    decision: outcome === 'refused' ? undefined : why,
    error: code,
    source: remote,
  };
}

/** A machine that only issues certificates needs none of its own. */
function hasDoors({ outbound, auth, inbound, forwards }: MeshConfig): boolean {
  return outbound.enabled || auth.enabled || inbound.length > 0 || forwards.length > 0;
}

/** Apps that the registry knows are found by it, and reach it by the door for them. */
function registryOf(registry: KnownRegistry, stateDir: string): MeshRegistry {
  return {
    socket: registrySocket(stateDir),
    resolve: registryTargets((appId) => registry.instancesOfApp(appId)),
  };
}

async function openDoor(
  config: MeshConfig,
  { registry, settings, control, logger }: ProcessMeshOptions,
  plane: () => MeshPlane | undefined,
): Promise<Result<Listener | undefined, string>> {
  if (registry === undefined) return ok(undefined);
  return openRegistryDoor({
    stateDir: settings.stateDir,
    handler: (identify) => registry.handler(identify),
    appOf: (assertion, port) => plane()?.appOf(assertion, port),
    config,
    newRequestId: () => control.system.newId(),
    nowMs: control.system.nowMs,
    onFault: (fault, requestId) => logger.error({ err: fault, request_id: requestId }, 'fault'),
  });
}
