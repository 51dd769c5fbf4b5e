import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok, present } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import { inspectLocalPeer } from '../adapters/identity-local/index.ts';
import { identifierPaths } from '../gateway/index.ts';
import type {
  Bind,
  HttpHandler,
  Listener,
  ListenerKind,
  ListenerOptions,
  ListenProblem,
  Peer,
  RefusedRequest,
} from '../http/index.ts';
import { openListener } from '../http/index.ts';
import type { HostPort } from './addresses.ts';
import { loopback, parseAddress } from './addresses.ts';
import { readPair } from './certificate.ts';
import { embeddedUrl } from './network/embedded-url.ts';
import type { StartProblem } from './foundation.ts';
import type { Settings } from './settings.ts';
import { gatewayPort } from './zero-config.ts';

/** One listener that ought to open: where, and whether the start fails without it. */
export interface Plan {
  readonly kind: ListenerKind;
  readonly bind: Bind;
  readonly hosts: readonly string[] | undefined;
  readonly onlyTrustedProxies: boolean;
  readonly believedHeaders: readonly string[];
  /** A machine without IPv6 opens the rest: a missing address family is one line, not an error. */
  readonly isOptionalFamily: boolean;
  /** Nobody asked for it by name: where its port is taken, that is one line, too. */
  readonly isOptional?: boolean;
}

export interface ListenOptions {
  readonly config: Config;
  readonly settings: Settings;
  readonly hasConfigFile: boolean;
  readonly handlers: Readonly<Record<'gateway' | 'control', HttpHandler>> & {
    /** Of the control listener. */
    readonly registry?: HttpHandler;
  };
  readonly hostname: string;
  /** Asked of every connection but those of the control socket, before any byte is read. */
  readonly turnsAway: (peer: Peer) => boolean;
  /** Whether a listener stays shut for now. */
  readonly isShut?: (plan: Plan) => boolean;
  readonly newRequestId: () => string;
  readonly nowMs: () => number;
  readonly onFault: (cause: unknown, requestId: string) => void;
  readonly onRefused: (refused: RefusedRequest) => void;
}

export interface Opened {
  readonly listeners: readonly Listener[];
  /** One line for each address family that this machine does not have. */
  readonly skipped: readonly string[];
}

const adminPort = 8_081;
const controlPort = 8_000;
/** Names by which a machine calls itself; the listener adds its own addresses. */
const localNames = ['localhost', '127.0.0.1', '::1'] as const;

/** What `tailscale serve` sets, and all that is believed of it. */
const serveHeaders = [
  'tailscale-user-login',
  'tailscale-user-name',
  'tailscale-user-profile-pic',
  'tailscale-app-capabilities',
  'tailscale-funnel-request',
  'x-forwarded-for',
  'x-forwarded-host',
] as const;

/** What `tailscale serve` passes on as Host: the name of the node on its tailnet, whole or short. */
const tailnetNames = ['ai', '.ts.net'] as const;

const ownerOnly = 0o600;

export function socketPath(stateDir: string, name: 'control' | 'serve'): string {
  return path.join(stateDir, 'run', `${name}.sock`);
}

/** Opens every listener of this configuration, or none. */
export function openListeners(options: ListenOptions): Promise<Result<Opened, StartProblem>> {
  return openPlans(options, (plan) => options.isShut?.(plan) !== true);
}

/** Opens some of them; `at`: the first of those, on another address, and on its own port where none is named. */
export async function openPlans(
  options: ListenOptions,
  which: (plan: Plan) => boolean,
  at?: { readonly host: string; readonly port: number | undefined },
): Promise<Result<Opened, StartProblem>> {
  const planned = await planListeners(options);
  if (!planned.ok) return err({ kind: 'config', message: planned.error });
  const chosen = planned.value.filter(which);
  const moved = chosen.slice(0, 1).flatMap((plan): Plan[] => {
    if (at === undefined || plan.bind.kind === 'unix') return [];
    return [{ ...plan, bind: { kind: 'tcp', host: at.host, port: at.port ?? plan.bind.port } }];
  });
  const listeners: Listener[] = [];
  const skipped: string[] = [];
  for (const plan of at === undefined ? chosen : moved) {
    const opened = await openListener(listenerOptions(plan, options));
    if (opened.ok) {
      listeners.push(opened.value);
    } else if (opened.error.kind === 'no-such-family' && plan.isOptionalFamily) {
      skipped.push(opened.error.message);
    } else if (plan.isOptional === true) {
      skipped.push(`${plan.kind}: ${opened.error.message}`);
    } else {
      await Promise.all(listeners.map((listener) => listener.close(0)));
      return err({ kind: 'failed', message: `${plan.kind}: ${opened.error.message}` });
    }
  }
  return ok({ listeners, skipped });
}

/** A listener that opens while we run already: on our own address of the network, or the serve socket. */
export async function openDoor(
  at: { readonly kind: 'tailnet'; readonly host: string; readonly port: number } | 'serve',
  hosts: readonly string[],
  options: ListenOptions,
): Promise<Result<Listener, ListenProblem>> {
  const plan: Plan =
    at === 'serve'
      ? unixPlan('serve', socketPath(options.settings.stateDir, 'serve'), serveHeaders)
      : {
          kind: 'tailnet',
          bind: { kind: 'tcp', host: at.host, port: at.port },
          hosts,
          onlyTrustedProxies: false,
          believedHeaders: [],
          isOptionalFamily: false,
        };
  return openListener(listenerOptions({ ...plan, hosts }, options));
}

function listenerOptions(plan: Plan, options: ListenOptions): ListenerOptions {
  const { limits, trustedProxies } = options.config;
  return {
    kind: plan.kind,
    bind: plan.bind,
    handler: handlerOf(plan.kind, options),
    hosts: plan.hosts,
    trustedProxies,
    onlyTrustedProxies: plan.onlyTrustedProxies,
    believedHeaders: plan.believedHeaders,
    ...(believesOperator(plan, options) ? { inspect: inspectLocalPeer } : {}),
    ...(plan.kind === 'control-socket' ? {} : { turnsAway: options.turnsAway }),
    newRequestId: options.newRequestId,
    nowMs: options.nowMs,
    limits: {
      connectionsMax: limits.connections,
      bodyPauseMsMax: limits.bodyPauseMs,
      connectionsPerSourceMax: Math.min(limits.connectionsPerSource, limits.connections),
    },
    encodedSlashUnder: identifierPaths,
    onFault: options.onFault,
    onRefused: options.onRefused,
  };
}

function handlerOf(kind: ListenerKind, { handlers }: ListenOptions): HttpHandler {
  if (kind === 'control-socket' || kind === 'admin') return handlers.control;
  return kind === 'control' ? present(handlers.registry, 'the registry') : handlers.gateway;
}

/** Looking up the owner of a socket takes milliseconds: only where the answer can count. */
function believesOperator(plan: Plan, { config, hasConfigFile }: ListenOptions): boolean {
  return plan.kind === 'gateway' && (!hasConfigFile || config.trustLoopback);
}

/** Every listener that a configuration asks for. */
export async function planListeners(
  options: ListenOptions,
): Promise<Result<readonly Plan[], string>> {
  const { config, settings, hostname } = options;
  const gateway = addresses(
    settings.addresses.gateway?.text ?? config.listeners.gateway.address,
    gatewayPort,
  );
  if (!gateway.ok)
    return err(
      `${settings.addresses.gateway?.from ?? 'listeners.gateway.address'}: ${gateway.error}`,
    );
  const ownHosts = [...localNames, hostname];
  const plans: Plan[] = [
    ...tcpPlans('gateway', gateway.value, [
      ...ownHosts,
      // A tailscaled in userspace mode dials this port for its peers, who call us by our name on the network.
      ...engineNames(options),
      ...config.listeners.gateway.hosts,
      ...hostsOf(gateway.value),
    ]),
    unixPlan('control-socket', socketPath(settings.stateDir, 'control'), []),
  ];
  if (config.listeners.serve.enabled) {
    plans.push({
      ...unixPlan('serve', socketPath(settings.stateDir, 'serve'), serveHeaders),
      hosts: [
        ...ownHosts,
        ...tailnetNames,
        ...engineNames(options),
        ...config.listeners.serve.hosts,
      ],
    });
  }
  if (options.hasConfigFile && config.listeners.admin.enabled) {
    const admin = adminAddresses(config, settings);
    if (!admin.ok) return admin;
    plans.push(
      ...tcpPlans('admin', admin.value, [
        ...ownHosts,
        ...config.listeners.admin.hosts,
        ...hostsOf(admin.value),
      ]),
    );
  }
  if (
    config.registry !== undefined ||
    config.mesh?.authority !== undefined ||
    config.mesh?.attestedJoin !== undefined
  ) {
    const control = addresses(
      settings.addresses.control?.text ?? config.registry?.address,
      controlPort,
    );
    if (!control.ok)
      return err(`${settings.addresses.control?.from ?? 'registry.address'}: ${control.error}`);
    // Only keys count there, so that names say nothing.
    plans.push(...tcpPlans('control', control.value, undefined));
  } else {
    const api = enginePlans(options);
    if (!api.ok) return api;
    plans.push(...api.value);
  }
  if (config.routed !== undefined) {
    const routed = parseAddress(config.routed.address);
    if (!routed.ok) return err(`routed.address: ${routed.error}`);
    plans.push(
      ...tcpPlans('routed', routed.value, [
        ...ownHosts,
        ...engineNames(options),
        ...config.routed.hosts,
        ...hostsOf(routed.value),
      ]),
    );
  }
  const edge = await publicPlans(config);
  if (!edge.ok) return edge;
  return ok(withInherited([...plans, ...edge.value], settings.inherited));
}

/** Where operators come, and programs that read metrics. */
export function adminAddresses(
  config: Config,
  settings: Settings,
): Result<readonly HostPort[], string> {
  const asked = settings.addresses.admin;
  const found = addresses(asked?.text ?? config.listeners.admin.address, adminPort);
  return found.ok ? found : err(`${asked?.from ?? 'listeners.admin.address'}: ${found.error}`);
}

/** Sockets that the service manager opened for a listener take the place of the addresses that it would open itself. */
function withInherited(plans: readonly Plan[], sockets: Settings['inherited']): readonly Plan[] {
  const kinds = new Set(sockets.map(({ name }) => name));
  const [first, rest] = [new Map<string, Plan>(), [] as Plan[]];
  for (const plan of plans) {
    if (!kinds.has(plan.kind)) rest.push(plan);
    else if (!first.has(plan.kind)) first.set(plan.kind, plan);
  }
  const handed = sockets.flatMap(({ name, fd }) => {
    const plan = first.get(name);
    if (plan === undefined || plan.bind.kind === 'unix') return [];
    return [{ ...plan, bind: { ...plan.bind, fd }, isOptionalFamily: false }];
  });
  return [...handed, ...rest];
}

/** Names of the embedded engine's network. */
function engineNames({ config, settings }: ListenOptions): readonly string[] {
  const hasEngine = (settings.url ?? embeddedUrl(config.engine)) !== undefined;
  return hasEngine ? ['ai', `.${config.engine?.baseDomain ?? 'mesh.internal'}`] : [];
}

/** The API of the embedded engine has the control listener, where nothing else has it already. */
function enginePlans({
  config,
  settings,
  hasConfigFile,
}: ListenOptions): Result<readonly Plan[], string> {
  const asked = settings.addresses.control?.text ?? config.engine?.apiAddress;
  const hasEngine = (settings.url ?? embeddedUrl(config.engine)) !== undefined;
  if (!hasEngine || asked === 'off' || (asked === undefined && !hasConfigFile)) return ok([]);
  const control = addresses(asked, controlPort);
  if (!control.ok) {
    return err(`${settings.addresses.control?.from ?? 'engine.apiAddress'}: ${control.error}`);
  }
  const isOptional = asked === undefined;
  return ok(tcpPlans('control', control.value, undefined).map((plan) => ({ ...plan, isOptional })));
}

function addresses(text: string | undefined, port: number): Result<readonly HostPort[], string> {
  return text === undefined ? ok(loopback(port)) : parseAddress(text);
}

function hostsOf(list: readonly HostPort[]): readonly string[] {
  return list.map(({ host }) => host).filter((host) => host !== '0.0.0.0' && host !== '::');
}

function tcpPlans(
  kind: ListenerKind,
  list: readonly HostPort[],
  hosts: readonly string[] | undefined,
): Plan[] {
  return list.map(({ host, port }) => ({
    kind,
    bind: { kind: 'tcp', host, port },
    hosts,
    onlyTrustedProxies: false,
    believedHeaders: [],
    isOptionalFamily: list.length > 1,
  }));
}

function unixPlan(kind: ListenerKind, file: string, believedHeaders: readonly string[]): Plan {
  return {
    kind,
    bind: { kind: 'unix', path: file, mode: ownerOnly },
    // The file's owner is the identity on the control socket; names say nothing there.
    hosts: undefined,
    onlyTrustedProxies: false,
    believedHeaders,
    isOptionalFamily: false,
  };
}

async function publicPlans(config: Config): Promise<Result<readonly Plan[], string>> {
  const edge = config.publicEdge;
  if (edge === undefined) return ok([]);
  const parsed = parseAddress(edge.address);
  if (!parsed.ok) return err(`publicEdge.address: ${parsed.error}`);
  const { tls } = edge;
  if (tls === 'balancer') {
    return ok(
      parsed.value.map((at) => ({
        ...edgePlan({ kind: 'tcp', ...at }, parsed.value.length > 1),
        onlyTrustedProxies: true,
      })),
    );
  }
  const pair = await readPair(tls);
  if (!pair.ok) return pair;
  return ok(
    parsed.value.map((at) => ({
      ...edgePlan({ kind: 'tls', ...at, ...pair.value }, parsed.value.length > 1),
      // A balancer's health checks come under its own address; whoever calls the edge itself uses one of its names.
      hosts: edge.hosts,
    })),
  );
}

function edgePlan(bind: Bind, isOptionalFamily: boolean): Plan {
  return {
    kind: 'public',
    bind,
    hosts: undefined,
    onlyTrustedProxies: false,
    believedHeaders: [],
    isOptionalFamily,
  };
}
