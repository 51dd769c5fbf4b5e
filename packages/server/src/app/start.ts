import { hostname, networkInterfaces, userInfo } from 'node:os';
import process from 'node:process';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import { defaultConfig } from '@postern/core/contract/defaults';
import { createFactsReader } from '../adapters/identity-local/index.ts';
import { openSqliteStore } from '../adapters/store-sqlite/index.ts';
import { createNodeSystem } from '../adapters/system-node/index.ts';
import type { Control } from '../control/index.ts';
import { createControl } from '../control/index.ts';
import type { GatewayClock } from '../gateway/index.ts';
import { gatewayHandler } from '../gateway/index.ts';
import type { Listener } from '../http/index.ts';
import type { Logger } from '../observe/index.ts';
import { logSettlement } from '../observe/index.ts';
import type { LoadedConfig } from './config-file.ts';
import { adminHandler } from './admin.ts';
import type { Deployment, DeploymentSurroundings } from './deployment.ts';
import { createDeployment } from './deployment.ts';
import type { Detected } from './detect.ts';
import { detectProviders } from './detect.ts';
import { createDrain } from './drain.ts';
import { IssuerKeyRing } from './issuers.ts';
import type { LazyEgress } from './egress.ts';
import { createLazyEgress } from './egress.ts';
import { openListeners, socketPath } from './listen.ts';
import { createReloader } from './reload.ts';
import type { Settings } from './settings.ts';

export interface StartOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly version: string;
}

/** A gateway that is up. */
export interface Running {
  readonly listeners: readonly Listener[];
  readonly detected: readonly Detected[];
  readonly skipped: readonly string[];
  readonly configFile: string | undefined;
  readonly controlSocket: string;
  /** Names that can be asked for now, the default first. */
  deployment(): Deployment;
  reload(): Promise<Result<string, readonly string[]>>;
  /** Ends in order; a second call ends at once. Resolves when everything is closed. */
  stop(): Promise<void>;
}

/** `up` is ready within a second: model lists that take longer arrive in the background. */
const firstListMsMax = 400;

/** Starts everything that this configuration asks for, or says in one sentence why not. */
export async function start(options: StartOptions): Promise<Result<Running, string>> {
  const { settings, logger } = options;
  const loaded = await loadConfig(settings);
  if (!loaded.ok) return loaded;
  const system = createNodeSystem();
  const store = await openSqliteStore(settings.stateDir);
  if (!store.ok) return err(store.error.message);
  const control = await createControl({
    store: store.value,
    system,
    record: (line) => logger.info({ ...line, actor: line.actor }, 'control'),
    onFault: (fault) => logger.error({ err: fault }, 'a listener of the state threw'),
  });
  if (!control.ok) return err(control.error.message);
  const egress = createLazyEgress();
  const started = await startPlanes({
    options,
    file: loaded.value,
    control: control.value,
    egress,
  });
  if (!started.ok) {
    await egress.close();
    await control.value.close();
  }
  return started;
}

async function loadConfig(settings: Settings): Promise<Result<LoadedConfig | undefined, string>> {
  if (settings.configFile === undefined) return ok(undefined);
  // The schemas are loaded only where there is a file to hold against them.
  const { describeProblem, loadConfigFile } = await import('./config-file.ts');
  const loaded = await loadConfigFile(settings.configFile);
  return loaded.ok ? loaded : err(loaded.error.map(describeProblem).join('\n'));
}

interface Foundation {
  readonly options: StartOptions;
  readonly file: LoadedConfig | undefined;
  readonly control: Control;
  readonly egress: LazyEgress;
}

async function startPlanes(foundation: Foundation): Promise<Result<Running, string>> {
  const { options, file, control, egress } = foundation;
  const { settings, logger } = options;
  const detected = file === undefined ? await detect(foundation) : [];
  const surroundings = surroundingsOf(foundation);
  const config = file?.config ?? zeroConfig(detected);
  const first = await createDeployment(config, surroundings);
  if (!first.ok) return first;
  let deployment = first.value;
  await deployment.catalog.refresh(AbortSignal.timeout(firstListMsMax));

  let listeners: readonly Listener[] = [];
  const drain = createDrain({
    listeners: () => listeners,
    delayMs: () => deployment.config.limits.drainDelayMs,
    graceMs: () => deployment.config.limits.drainMs,
  });
  const clock = createClock(control.system.nowMs);
  const gateway = gatewayHandler({
    identify: (request) => deployment.identify(request),
    view: () => deployment.view(),
    catalog: () => deployment.catalog,
    record: (settlement) => logSettlement(logger, settlement),
    faults: (fault, request) => logger.error({ err: fault, request_id: request.id }, 'fault'),
    clock,
    host: hostFacts(),
    health: {
      readiness: () => [
        {
          name: 'draining',
          ok: !drain.isDraining,
          message: drain.isDraining ? 'shutting down' : 'accepting',
        },
      ],
    },
  });
  const reloader = createReloader({
    file: settings.configFile,
    control,
    logger,
    deploy: (next) => createDeployment(next, surroundings),
    current: () => deployment,
    swap: (next) => {
      deployment = next;
    },
  });
  const opened = await openListeners({
    config,
    settings,
    hasConfigFile: file !== undefined,
    handlers: {
      gateway,
      control: adminHandler({
        control,
        gateway,
        deployment: () => deployment,
        listeners: () => listeners,
        reload: () => reloader.reload('admin'),
        isReady: () => !drain.isDraining,
        onFault: (fault, requestId) => logger.error({ err: fault, request_id: requestId }, 'fault'),
        version: options.version,
        detected,
        settings,
      }),
    },
    hostname: hostname(),
    newRequestId: () => control.system.newId(),
    nowMs: control.system.nowMs,
    onFault: (fault, requestId) => logger.error({ err: fault, request_id: requestId }, 'fault'),
  });
  if (!opened.ok) return opened;
  listeners = opened.value.listeners;
  if (file !== undefined) await reloader.recordFirst(file);
  return ok({
    listeners,
    detected,
    skipped: opened.value.skipped,
    configFile: file?.file,
    controlSocket: socketPath(settings.stateDir, 'control'),
    deployment: () => deployment,
    reload: () => reloader.reload('signal'),
    stop: async () => {
      reloader.close();
      await drain.begin();
      await egress.close();
      await control.close();
    },
  });
}

function surroundingsOf({ options, file, control, egress }: Foundation): DeploymentSurroundings {
  return {
    env: options.settings.env,
    nowMs: control.system.nowMs,
    newId: control.system.newId,
    egress: egress.egress,
    snapshot: () => control.snapshot(),
    issuerKeys: new IssuerKeyRing(),
    operatorFacts: createFactsReader(),
    owner: { uid: process.geteuid?.(), name: userInfo().username },
    hasConfigFile: file !== undefined,
  };
}

async function detect({ options, egress }: Foundation): Promise<readonly Detected[]> {
  const port = Number(options.settings.addresses.gateway?.text.replace(/^.*:/, '') ?? 8_080);
  const found = await detectProviders({
    env: options.settings.env,
    egress: egress.egress,
    ownPort: port,
  });
  for (const problem of found.problems) options.logger.warn({ problem }, 'not usable');
  return found.detected;
}

function zeroConfig(detected: readonly Detected[]): Config {
  return {
    ...defaultConfig,
    providers: Object.fromEntries(detected.map(({ id, config }) => [id, config])),
  };
}

function hostFacts(): { hostname: string; privateIp: string | undefined } {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside =
    addresses.find((each) => !each.internal && each.family === 'IPv4') ??
    addresses.find((each) => !each.internal);
  return { hostname: hostname(), privateIp: outside?.address };
}

function createClock(nowMs: () => number): GatewayClock {
  return {
    nowMs,
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms);
      timer.unref();
      return { clear: () => clearTimeout(timer) };
    },
  };
}
