import { hostname, userInfo } from 'node:os';
import process from 'node:process';
import type { Result } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import { andThen, err, ok } from '@postern/core/base';
import { createFactsReader } from '../adapters/identity-local/index.ts';
import type { PolicyAuthority } from '../control/policy/index.ts';
import { authorityOf } from '../control/policy/index.ts';
import type { Identify } from '../gateway/index.ts';
import { gatewayHandler } from '../gateway/index.ts';
import type { HttpHandler, Listener } from '../http/index.ts';
import { logSettlement } from '../observe/index.ts';
import { adminHandler } from './admin.ts';
import { known, recordable } from './admission.ts';
import { AttestedDesk } from './attested/index.ts';
import { edgeFiles, watchCertificate } from './certificate.ts';
import { keepCollateral } from './collateral.ts';
import type { Deployment, DeploymentSurroundings } from './deployment.ts';
import type { Doorkeeper } from './containment/doorkeeper.ts';
import { postDoorkeeper } from './containment/doorkeeper.ts';
import { followIsolation, isShutBy } from './containment/isolation.ts';
import { createDeployment } from './deployment.ts';
import type { Detected } from './detect.ts';
import type { Drain } from './drain.ts';
import { createDrain } from './drain.ts';
import { fleetOf, watchFleet } from './fleet.ts';
import type { Foundation, StartProblem } from './foundation.ts';
import { createClock, hostFacts } from './host-facts.ts';
import { IssuerKeyRing } from './issuers.ts';
import type { ListenOptions, Opened } from './listen.ts';
import { openListeners, socketPath } from './listen.ts';
import { listModels } from './listing.ts';
import type { GatewayNode } from './network/gateway-node.ts';
import type { ProcessMesh } from './mesh/process.ts';
import { controlDoor } from './mesh/control-door.ts';
import { startProcessMesh } from './mesh/process.ts';
import type { Network } from './network/start.ts';
import { withEngineApi } from './network/api-door.ts';
import { embeddedUrl } from './network/embedded-url.ts';
import type { OutsideEngine } from './network/engines.ts';
import { openNetwork } from './network/open.ts';
import { routedWhois } from './network/outside.ts';
import type { PolicyPlane } from './policy.ts';
import { createPolicyPlane } from './policy.ts';
import { readinessOf, unreadyReasons } from './readiness.ts';
import { ProcessRegistry } from './registry/process-registry.ts';
import type { RefusalLog } from './refusal-log.ts';
import { createRefusalLog } from './refusal-log.ts';
import type { Reloader } from './reload.ts';
import { createReloader } from './reload.ts';
import { Settlements } from './settlements.ts';
import type { Telemetry } from './telemetry/telemetry.ts';
import { createTelemetry } from './telemetry/telemetry.ts';
import { detect, zeroConfig } from './zero-config.ts';

/** A gateway that is up. */
export interface Running {
  readonly listeners: readonly Listener[];
  readonly detected: readonly Detected[];
  readonly skipped: readonly string[];
  readonly configFile: string | undefined;
  readonly controlSocket: string;
  /** What decides about requests now. */
  authority(): PolicyAuthority;
  /** What is in force now. */
  deployment(): Deployment;
  reload(): Promise<Result<string, readonly string[]>>;
  /** Ends in order; a second call ends at once. Resolves when everything is closed. */
  stop(): Promise<void>;
}

/** `up` is ready within a second: model lists that take longer arrive in the background. */
const firstListMsMax = 400;

/** What is in force now; replaced whole by a reload. */
interface Live {
  deployment: Deployment;
  listeners: readonly Listener[];
  network?: Network;
  outside?: OutsideEngine;
  mesh?: ProcessMesh;
  gateway?: GatewayNode;
  readonly registry: ProcessRegistry;
}

/** The parts that the planes share. */
interface Frame {
  readonly foundation: Foundation;
  readonly live: Live;
  readonly drain: Drain;
  readonly reloader: Reloader;
  readonly detected: readonly Detected[];
  readonly refusals: RefusalLog;
  readonly policy: PolicyPlane;
  readonly telemetry: Telemetry;
  readonly onFault: (fault: unknown, requestId: string) => void;
  readonly doorkeeper: Doorkeeper;
  readonly cut: AbortSignal;
  readonly attested: AttestedDesk;
  readonly settlements: Settlements;
}

export async function startPlanes(foundation: Foundation): Promise<Result<Running, StartProblem>> {
  const { options, file, egress } = foundation;
  const { settings, logger } = options;
  const detected = file === undefined ? await detect(settings, egress.egress, logger) : [];
  const chosen = file === undefined ? zeroConfig(detected, settings.env) : ok(file.config);
  if (!chosen.ok) return err({ kind: 'config', message: chosen.error });
  const config = chosen.value;
  const cut = new AbortController();
  const begun: { live?: Live } = {};
  const policy = policyOf(foundation, () => begun.live?.deployment.config ?? config, begun);
  const registry = new ProcessRegistry(foundation, () => begun.live);
  await registry.configure(config);
  const surroundings = {
    ...surroundingsOf(foundation, { cut: cut.signal, policy, begun }),
    discovery: registry,
  };
  const first = await createDeployment(config, surroundings);
  if (!first.ok) {
    policy.close();
    return err({ kind: 'config', message: first.error });
  }
  await listModels(first.value.catalog, firstListMsMax, logger);
  watchFleet(first.value);
  foundation.audit.configure(config.audit);

  const now: Live = { deployment: first.value, listeners: [], registry };
  begun.live = now;
  const drain = createDrain({
    listeners: () => now.listeners,
    delayMs: () => now.deployment.config.limits.drainDelayMs,
    graceMs: () => now.deployment.config.limits.drainMs,
    cut,
  });
  const telemetry = telemetryOf(foundation, {
    live: now,
    drain,
    issuerKeys: surroundings.issuerKeys,
  });
  await telemetry.configure(config);
  const reloader = reloaderOf(foundation, surroundings, { live: now, policy, telemetry });
  const onFault = (fault: unknown, requestId: string): void =>
    logger.error({ err: fault, request_id: requestId }, 'fault');
  const { nowMs } = foundation.control.system;
  const refusals = createRefusalLog(logger, createClock(nowMs));
  const shared = { foundation, live: now, drain, reloader, detected, refusals };
  const doorkeeper = postDoorkeeper(foundation.control, logger, cut.signal);
  const { attested } = surroundings;
  const settlements = new Settlements(
    [
      (settlement) => logSettlement(logger, settlement),
      (settlement) => foundation.audit.request(settlement),
      (settlement) => attested.settled(settlement),
      (settlement) => telemetry.settled(settlement),
    ],
    onFault,
  );
  const frame = {
    ...shared,
    policy,
    telemetry,
    onFault,
    cut: cut.signal,
    doorkeeper,
    attested,
    settlements,
  };
  await policy.begin();
  const opened = await open(frame);
  if (!opened.ok) {
    policy.close();
    reloader.close();
    return opened;
  }
  if (file !== undefined) await reloader.recordFirst(file);
  foundation.stores.follow(foundation.control, () => {
    void reloader.lead().then(() => policy.lead());
  });
  return ok(running(frame, opened.value));
}

/** The policy of this process, which outlives every configuration. */
function policyOf(
  { options, control }: Foundation,
  config: () => Config,
  begun: { readonly live?: Live },
): PolicyPlane {
  const { settings, logger } = options;
  const clock = createClock(control.system.nowMs);
  return createPolicyPlane({
    control,
    settings,
    logger,
    clock,
    config,
    inventory: () => begun.live?.network?.plane.coordination.inventory(),
    engine: () => begun.live?.outside?.keeper,
  });
}

function surroundingsOf(
  foundation: Foundation,
  {
    cut,
    policy,
    begun,
  }: {
    readonly cut: AbortSignal;
    readonly policy: PolicyPlane;
    readonly begun: { readonly live?: Live };
  },
): DeploymentSurroundings & { readonly attested: AttestedDesk } {
  const { options, file, control, egress, money } = foundation;
  return {
    gatewayNode: () => begun.live?.gateway,
    hasEngine: (options.settings.url ?? embeddedUrl(file?.config.engine)) !== undefined,
    routedWhois: routedWhois(control, () => begun.live),
    env: options.settings.env,
    nowMs: control.system.nowMs,
    egress: egress.egress,
    fleet: fleetOf(createClock(control.system.nowMs), options.logger),
    snapshot: () => control.snapshot(),
    issuerKeys: new IssuerKeyRing(),
    operatorFacts: createFactsReader(),
    owner: { uid: process.geteuid?.(), name: userInfo().username },
    hasConfigFile: file !== undefined,
    money,
    policyAccess: () => policy.access(),
    cut,
    attested: new AttestedDesk(foundation, () => begun.live?.mesh?.calls),
  };
}

function reloaderOf(
  { options, control, audit }: Foundation,
  surroundings: DeploymentSurroundings,
  { live, policy, telemetry }: Pick<Frame, 'live' | 'policy' | 'telemetry'>,
): Reloader {
  return createReloader({
    file: options.settings.configFile,
    control,
    logger: options.logger,
    deploy: (next) => createDeployment(next, surroundings),
    current: () => live.deployment,
    swap: (next) => {
      live.deployment = next;
      watchFleet(next);
      audit.configure(next.config.audit);
      void telemetry.configure(next.config);
      live.mesh?.reload(next.config);
      void policy.look();
    },
    settle: ({ config }) => live.registry.reload(config),
  });
}

/** What this process tells of itself; it reads whatever is in force when it is asked. */
function telemetryOf(
  foundation: Foundation,
  { live, drain, issuerKeys }: Pick<Frame, 'live' | 'drain'> & { issuerKeys: IssuerKeyRing },
): Telemetry {
  const { options, control, egress, audit, money } = foundation;
  const { nowMs } = control.system;
  const readiness = readinessOf(foundation, drain);
  return createTelemetry({
    version: options.version,
    stateDir: options.settings.stateDir,
    env: options.settings.env,
    startedAtMs: nowMs(),
    nowMs,
    clock: createClock(nowMs),
    egress: egress.egress,
    deployment: () => live.deployment,
    listeners: () => live.listeners,
    snapshot: () => control.snapshot(),
    isReady: () => readiness().every(({ ok: holds }) => holds),
    audit,
    money,
    issuerKeys,
    mesh: () => live.mesh?.facts(),
    logger: options.logger,
  });
}

/** Who is asking, by the configuration in force. What arrives after the doors are closed is asked nothing. */
function identifyOf({ live, drain, policy, doorkeeper }: Frame): Identify {
  return doorkeeper.guard((request) => {
    const admitted = drain.admits();
    if (!admitted.ok) return admitted;
    return andThen(policy.ready(), () => live.deployment.identify(request));
  });
}

function gatewayOf(frame: Frame): HttpHandler {
  const { live, drain, foundation, onFault, telemetry, attested, settlements } = frame;
  const { audit } = foundation;
  const gateway = gatewayHandler({
    identify: recordable(
      known(identifyOf(frame), foundation.stores, () => live.deployment.config),
      audit,
    ),
    view: () => live.deployment.view(),
    catalog: () => live.deployment.catalog,
    record: settlements.take,
    receipts: () => attested.receipts,
    tracer: () => telemetry.tracer(),
    faults: (fault, request) => onFault(fault, request.id),
    clock: createClock(foundation.control.system.nowMs),
    host: hostFacts(),
    health: { readiness: readinessOf(foundation, drain) },
  });
  return attested.wrap(gateway);
}

async function open(frame: Frame): Promise<Result<Opened, StartProblem>> {
  const { foundation, live, drain, reloader, onFault } = frame;
  const { options, control, file } = foundation;
  const gateway = gatewayOf(frame);
  const door = await controlDoor(foundation, live, identifyOf(frame));
  if (!door.ok) return err({ kind: 'config', message: door.error });
  const started = live.deployment.config;
  const listening: ListenOptions = {
    get config() {
      return live.registry.listensAs(started);
    },
    settings: options.settings,
    hasConfigFile: file !== undefined,
    handlers: {
      gateway,
      ...withEngineApi(door.value, {
        control,
        config: live.deployment.config,
        settings: options.settings,
        desk: () => live.network?.desk,
        policy: frame.policy.tools,
        access: () => live.deployment.view().access,
        identify: identifyOf(frame),
      }),
      control: adminHandler({
        control,
        gateway,
        identify: identifyOf(frame),
        deployment: () => live.deployment,
        listeners: () => live.listeners,
        reload: () => reloader.reload('admin'),
        unready: () => unreadyReasons(readinessOf(foundation, drain)),
        onFault,
        version: options.version,
        detected: frame.detected,
        settings: options.settings,
        stores: foundation.stores,
        audit: foundation.audit,
        policy: frame.policy,
        network: () => live.network?.desk,
        outside: () => live.outside,
        mesh: () => live.mesh?.desk,
        metrics: frame.telemetry.metrics(identifyOf(frame)),
        egress: foundation.egress.egress,
        doorkeeper: frame.doorkeeper,
      }),
    },
    hostname: hostname(),
    isShut: (plan) => control.snapshot().containment.isolation !== undefined && isShutBy(plan),
    turnsAway: (peer) => frame.doorkeeper.turnsAway(peer),
    newRequestId: () => control.system.newId(),
    nowMs: control.system.nowMs,
    onFault,
    onRefused: (refused) => {
      frame.refusals.take(refused);
      foundation.audit.refused(refused);
      frame.telemetry.refused(refused);
    },
  };
  const opened = await openListeners(listening);
  if (!opened.ok) return opened;
  live.listeners = opened.value.listeners;
  const { logger } = options;
  followIsolation({ control, listening, live, logger, ending: frame.cut });
  const network = await openNetwork(foundation, live, listening);
  if (!network.ok) {
    await Promise.all(live.listeners.map((listener) => listener.close(0)));
    return err({ kind: 'config', message: network.error });
  }
  live.registry.begin(listening);
  const { listeners } = live;
  const mesh = await startProcessMesh({
    config: () => live.deployment.config,
    control,
    settings: options.settings,
    egress: foundation.egress.egress,
    logger: options.logger,
    registry: live.deployment.config.registry === undefined ? undefined : live.registry,
    audit: foundation.audit,
    telemetry: frame.telemetry,
  });
  if (!mesh.ok) {
    await live.gateway?.close();
    await Promise.all(listeners.map((listener) => listener.close(0)));
    return err({ kind: 'config', message: mesh.error });
  }
  if (mesh.value !== undefined) live.mesh = mesh.value;
  return ok({ ...opened.value, listeners });
}

function running(frame: Frame, { listeners, skipped }: Opened): Running {
  const { foundation, live, drain, reloader, detected, refusals, policy } = frame;
  const { options, control, egress, file } = foundation;
  const files = edgeFiles(live.deployment.config);
  const edges = (): readonly Listener[] => live.listeners.filter(({ kind }) => kind === 'public');
  const certificate =
    files === undefined ? undefined : watchCertificate(files, edges, options.logger);
  const collateral = keepCollateral({
    stateDir: options.settings.stateDir,
    egress: egress.egress,
    nowMs: control.system.nowMs,
    logger: options.logger,
  });
  return {
    listeners,
    detected,
    skipped,
    configFile: file?.file,
    controlSocket: socketPath(options.settings.stateDir, 'control'),
    authority: () => authorityOf(policy.tools.ports, control.snapshot().policy),
    deployment: () => live.deployment,
    reload: () => reloader.reload('signal'),
    stop: async () => {
      collateral.close();
      live.outside?.close();
      policy.close();
      reloader.close();
      certificate?.close();
      // Map streams never end by themselves.
      await live.network?.plane.close(0);
      await Promise.all([drain.begin(), live.mesh?.close(live.deployment.config.limits.drainMs)]);
      await live.gateway?.close();
      live.deployment.view().fleet.close();
      refusals.close();
      frame.settlements.flush();
      await frame.telemetry.close();
      await live.registry.close();
      frame.attested.close();
      await foundation.money.close();
      await egress.close();
      await control.close();
      await foundation.audit.close();
    },
  };
}
