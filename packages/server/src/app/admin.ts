import path from 'node:path';
import process from 'node:process';
import type { Result } from '@postern/core/base';
import { ok, onceUnlessItFails } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import { defaultName, listedNames } from '@postern/core/routing';
import type {
  AdminGate,
  MeshDesk,
  ModelsView,
  OperationContext,
  Permit,
  RuntimeView,
} from '../control/api/index.ts';
import type { Control } from '../control/index.ts';
import type { Fleet } from '../gateway/index.ts';
import { bestState } from '../gateway/index.ts';
import type { Egress, HttpHandler, Listener } from '../http/index.ts';
import { auditFolder, type AuditTrail } from './audit.ts';
import type { Doorkeeper } from './containment/doorkeeper.ts';
import type { Deployment } from './deployment.ts';
import type { Detected } from './detect.ts';
import type { OutsideDesk } from '../control/engine/index.ts';
import type { NetworkDesk } from '../control/network/index.ts';
import type { PolicyPlane } from './policy.ts';
import type { Settings } from './settings.ts';
import type { Stores } from './store-set.ts';
import { metricsPath } from './telemetry/metrics-route.ts';

export interface AdminOptions {
  readonly control: Control;
  readonly gateway: HttpHandler;
  readonly identify: AdminGate['identify'];
  readonly deployment: () => Deployment;
  readonly listeners: () => readonly Listener[];
  readonly reload: () => Promise<Result<string, readonly string[]>>;
  /** Why no traffic is welcome now; nothing while it is. */
  readonly unready: () => readonly string[];
  readonly onFault: (fault: unknown, requestId: string) => void;
  readonly version: string;
  readonly detected: readonly Detected[];
  readonly settings: Settings;
  readonly stores: Stores;
  readonly audit: AuditTrail;
  readonly policy: PolicyPlane;
  readonly network: () => NetworkDesk | undefined;
  readonly outside: () => OutsideDesk | undefined;
  readonly mesh: () => MeshDesk | undefined;
  readonly metrics: HttpHandler;
  readonly egress: Egress;
  readonly doorkeeper: Pick<Doorkeeper, 'turnsAway' | 'openFrom'>;
}

/** The prefix of the admin API, known without loading it. */
const apiPrefix = '/api/v1/';
/** Where agents come, known without loading what serves them. */
const agentPath = '/mcp';
const agentMetadataPath = '/.well-known/oauth-protected-resource';

/**
 * The handler of the control socket and of the admin listener: the one admin API under its prefix, the gateway's own
 * routes beside it, so that the command line asks models over the same socket. The API is loaded with its first
 * request: a gateway that only relays never pays for it.
 */
export function adminHandler(options: AdminOptions): HttpHandler {
  const startedAtMs = options.control.system.nowMs();
  const context = onceUnlessItFails(() => operationsOf(options, startedAtMs));
  const api = onceUnlessItFails(async () => loadApi(options, await context()));
  const agents = onceUnlessItFails(async () => loadAgents(options, await context()));
  return async (request, reply) => {
    const { path: asked, listener } = request;
    if (asked === metricsPath) return options.metrics(request, reply);
    const isAgent =
      asked === agentPath ||
      asked.startsWith(`${agentPath}/`) ||
      asked.startsWith(agentMetadataPath);
    if (!isAgent && !asked.startsWith(apiPrefix)) return options.gateway(request, reply);
    const handlers = isAgent ? await agents() : await api();
    return listener === 'control-socket'
      ? handlers.socket(request, reply)
      : handlers.admin(request, reply);
  };
}

interface AdminHandlers {
  readonly socket: HttpHandler;
  readonly admin: HttpHandler;
}

interface Operations {
  readonly context: OperationContext;
  /** The same, with the machines of an engine that others run. */
  readonly withMachines: () => Promise<OperationContext>;
}

async function operationsOf(options: AdminOptions, startedAtMs: number): Promise<Operations> {
  const { withMachines } = await import('./outside-inventory.ts');
  const context = await operationContext(options, startedAtMs);
  return { context, withMachines: withMachines(context) };
}

/** What operations work on, whichever door they are asked through. */
async function operationContext(
  options: AdminOptions,
  startedAtMs: number,
): Promise<OperationContext> {
  const { parseConfigText } = await import('./config-file.ts');
  const { auditTools } = await import('./audit-tools.ts');
  const { moneyTools } = await import('./money-tools.ts');
  const { checkDesk } = await import('./check/desk.ts');
  const { incidentDesk } = await import('./incident/desk.ts');
  const { notingBackups } = await import('./telemetry/vitals.ts');
  const { control, deployment } = options;
  const audit = auditTools({
    trail: options.audit,
    dir: auditFolder(options.settings.stateDir),
    store: options.stores.store,
  });
  return {
    control: notingBackups(control, options.settings.stateDir),
    checkConfig: (text) => {
      const parsed = parseConfigText(text, 'the text');
      return parsed.ok ? [] : parsed.error.map(({ pointer, message }) => ({ pointer, message }));
    },
    backupsDir: path.join(options.settings.stateDir, 'backups'),
    runtime: () => runtimeView(options, startedAtMs),
    models: () => modelsView(options),
    reload: options.reload,
    policy: options.policy,
    network: options.network,
    outside: options.outside,
    mesh: options.mesh,
    audit,
    incident: incidentDesk({ ...options, audit, trail: options.audit }),
    check: checkDesk({
      ...options,
      audit,
      engineUrl: () => options.network()?.url,
      startedAtMs,
    }),
    money: moneyTools(() => deployment().view().money?.desk),
  };
}

async function loadApi(
  options: AdminOptions,
  { context, withMachines }: Operations,
): Promise<AdminHandlers> {
  const { createAdminApi, honoHandler } = await import('../control/api/index.ts');
  const { identify } = options;
  const app = createAdminApi({ ...context, withMachines, onFault: options.onFault });
  return {
    // Who can open the control socket is the user that runs this process: it may do everything.
    socket: honoHandler(app, { channel: 'control-socket', identify, permit: () => ok(undefined) }),
    admin: honoHandler(app, { channel: 'admin', identify, permit: permitOf(options) }),
  };
}

async function loadAgents(
  options: AdminOptions,
  { withMachines }: Operations,
): Promise<AdminHandlers> {
  const { agentHandlers } = await import('./mcp.ts');
  const { identify, onFault, version, deployment } = options;
  return agentHandlers({
    operations: withMachines,
    identify,
    permit: permitOf(options),
    stateDir: options.settings.stateDir,
    version,
    isReadOnly: () => deployment().config.mcp.readOnly,
    issuers: () => deployment().config.identities.issuers.map(({ issuer }) => issuer),
    record: (line) => options.audit.tool(line),
    onFault,
  });
}

/** On the admin listener: what the policy grants. */
function permitOf({ deployment }: AdminOptions): Permit {
  return (caller, operation) =>
    deployment().view().access.mayAdminister(caller, operation)
      ? ok(undefined)
      : refuse(
          'access_denied',
          `You may not use ${operation} here. A grant of postern.dev/cap/admin in the policy allows it; whoever runs this Postern may use the control socket.`,
        );
}

function modelsView({ deployment }: AdminOptions): ModelsView {
  const { catalog } = deployment();
  const { fleet, providers } = deployment().view();
  const current = catalog.current();
  return {
    items: listedNames(current).map(({ name, targets }) => ({
      name,
      state: bestState(
        targets.flatMap(({ provider: id, model }) => {
          const provider = providers.get(id);
          return provider === undefined ? [] : [fleet.stateOf(provider, model)];
        }),
      ),
      targets: targets.map(({ provider, model }) => `${provider}/${model}`),
    })),
    providers: catalog.states().map(({ provider, models, problem }) => ({
      id: provider,
      models: models.length,
      problem: problem?.message ?? null,
    })),
    default_model: defaultName(current),
  };
}

function runtimeView(options: AdminOptions, startedAtMs: number): RuntimeView {
  const deployment = options.deployment();
  const { catalog } = deployment;
  const { fleet } = deployment.view();
  const unready = options.unready();
  const foundBy = new Map(options.detected.map(({ id, from }) => [id, from]));
  return {
    version: options.version,
    started_at: new Date(startedAtMs).toISOString(),
    node: process.version,
    config_file: options.settings.configFile ?? null,
    state_dir: options.settings.stateDir,
    ready: unready.length === 0,
    unready: [...unready],
    ...roleOf(options.stores),
    default_model: defaultName(catalog.current()),
    listeners: options
      .listeners()
      .map(({ kind, address, connections }) => ({ kind, address, connections })),
    providers: catalog.states().map((state) => ({
      id: state.provider,
      place: state.place,
      models: state.models.length,
      problem: state.problem?.message ?? null,
      found_by: foundBy.get(state.provider) ?? null,
      places: placesOf(fleet, state.provider),
    })),
    routing: { ...fleet.counters },
  };
}

function roleOf(stores: Stores): Pick<RuntimeView, 'name' | 'role' | 'leader'> {
  const role = stores.role();
  const leader = role.kind === 'follower' ? role.leader : stores.name;
  return { name: stores.name ?? null, role: role.kind, leader: leader ?? null };
}

function placesOf(fleet: Fleet, provider: string): RuntimeView['providers'][number]['places'] {
  return fleet
    .states()
    .filter((place) => place.provider === provider)
    .map(({ endpoint, state, inFlight, queued, breakers }) => ({
      endpoint: endpoint === '' ? null : endpoint,
      state,
      in_flight: inFlight,
      queued,
      breakers: breakers.flatMap(({ model, breaker }) =>
        breaker.kind === 'closed' ? [] : [{ model, state: breaker.kind }],
      ),
    }));
}
