import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '@postern/core/contract';
import { parsePrefix } from '@postern/core/base/netip';
import { principalKey } from '@postern/core/identity';
import type { Instance } from '@postern/core/registry';
import { registryLimits } from '@postern/core/registry';
import { ok } from '@postern/core/base';
import { refusal } from '@postern/core/errors';
import { groupKeys } from '../../adapters/registry-keys/index.ts';
import { secretReader } from '../../adapters/secrets/index.ts';
import { createProbe } from '../../adapters/tailnet-probe/index.ts';
import { envelopeOf } from '../../control/api/envelope.ts';
import type { Control, Requester } from '../../control/index.ts';
import type { NetworkEngine, OutsideDesk } from '../../control/engine/index.ts';
import { embeddedEngine } from '../../control/engine/index.ts';
import type { NetworkDesk } from '../../control/network/index.ts';
import type { registryApi as RegistryApi } from '../../control/registry/api/index.ts';
import {
  anyApp,
  followServiceNames,
  Registry,
  vpcRoutes,
  watchPath,
  watchRoute,
} from '../../control/registry/index.ts';
import type { LeaseStore, NamedAddress } from '../../control/registry/index.ts';
import type { GatewayClock, Identify } from '../../gateway/index.ts';
import type { Egress, HttpHandler } from '../../http/index.ts';
import type { Logger } from '../../observe/index.ts';
import type { Deployment } from '../deployment.ts';
import type { Discovery } from './places.ts';

export interface RegistryPlaneOptions {
  readonly control: Control;
  readonly leases: LeaseStore;
  readonly stateDir: string;
  readonly config: () => Config;
  /** The embedded engine, once it runs. */
  readonly desk: () => NetworkDesk | undefined;
  /** The engine, where others run it. */
  readonly outside: () => OutsideDesk | undefined;
  readonly clock: GatewayClock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly egress: Egress;
  readonly logger: Logger;
}

export interface RegistryPlane extends Discovery {
  /** Live instances that an app registered itself, of whatever type. */
  instancesOfApp(appId: string): readonly Instance[];
  handler(identify: Identify): HttpHandler;
  /** Providers that follow the registry are looked after anew when it changes. */
  follow(deployment: () => Deployment): void;
  /** Tells who serves what, as names, now and whenever it changes; nobody at the end. */
  name(tell: (names: readonly NamedAddress[]) => void): void;
  close(): Promise<void>;
}

export async function openRegistryPlane(options: RegistryPlaneOptions): Promise<RegistryPlane> {
  const { control, leases, stateDir, desk, clock, logger, env, egress } = options;
  const { nowMs } = control.system;
  const after: GatewayClock['after'] = (ms, run) => clock.after(ms, run);
  const registry = await Registry.open({
    control,
    leases,
    groupKey: groupKeys({
      stateDir,
      shared: () => {
        const source = options.config().registry?.key;
        return source === undefined ? undefined : secretReader(source, { env, nowMs, egress })();
      },
    }),
    probe: createProbe(egress),
    rules: rulesReader(options.config),
    engine: () => options.outside()?.as(byProcess) ?? engineOf(control, desk()),
    after,
    onFault: (fault) => logger.error({ err: fault }, 'registry'),
  });
  const closed = new AbortController();
  return {
    discover: (nodeType) =>
      registry.discover(nodeType, { limit: registryLimits.pageMax }, { passing: true }).members,
    leased: (nodeType) =>
      registry.discover(nodeType, { limit: registryLimits.membersPerTypeMax }).members,
    instancesOfApp: instancesByApp(control, registry),
    handler: (identify) => handlerOf(registry, identify, after),
    follow: (deployment) => follow(registry, deployment, closed.signal),
    name: (tell) => {
      followServiceNames({ registry, tell, after, signal: closed.signal });
      closed.signal.addEventListener('abort', () => tell([]), { once: true });
    },
    close: async () => {
      closed.abort();
      await registry.close();
    },
  };
}

const apiPath = '/api/v1/registry/';

const byProcess: Requester = Object.freeze({
  actor: Object.freeze({ principal: 'system:registry', channel: 'system' }),
});

function engineOf(control: Control, desk: NetworkDesk | undefined): NetworkEngine | undefined {
  return desk === undefined ? undefined : embeddedEngine(control, desk, byProcess);
}

/** They are asked for with every call, and change with the configuration alone. */
function rulesReader(config: () => Config): () => Registry['rules'] {
  let last: { readonly config: Config; readonly rules: Registry['rules'] } | undefined;
  return () => {
    const now = config();
    if (last?.config !== now) last = { config: now, rules: rulesOf(now) };
    return last.rules;
  };
}

function rulesOf({ registry }: Config): Registry['rules'] {
  const {
    networks = [],
    rotateKeys = 'never',
    allowedApps = [],
    tags = [],
    health = {},
  } = registry ?? {};
  return {
    rotation: rotateKeys,
    networks: networks.flatMap((text) => {
      const prefix = parsePrefix(text);
      // The configuration takes nothing else.
      return prefix.ok ? [prefix.value] : [];
    }),
    allowedApps: registry?.insecureAnyApp === true ? [anyApp] : allowedApps,
    tags,
    health: new Map(
      Object.entries(health).map(([type, rule]) => [
        type,
        {
          kind: rule.kind,
          path: rule.path,
          everyMs: rule.everySeconds * 1_000,
          timeoutMs: rule.timeoutSeconds * 1_000,
          failuresMax: rule.failures,
        },
      ]),
    ),
    ...(registry?.serverUrl === undefined ? {} : { serverUrl: registry.serverUrl }),
  };
}

function handlerOf(
  registry: Registry,
  identify: Identify,
  after: GatewayClock['after'],
): HttpHandler {
  const requester = async (request: Parameters<Identify>[0]) => {
    const caller = await identify(request);
    if (!caller.ok) return caller;
    const { subject, scope } = caller.value;
    const by: Requester = {
      actor: { principal: principalKey(subject), channel: 'control' },
      ...(scope === undefined ? {} : { scope }),
      requestId: request.id,
      caller: caller.value,
      connection: request.peer,
    };
    return ok(by);
  };
  let answer: typeof RegistryApi | undefined;
  return vpcRoutes({
    registry,
    identify: requester,
    otherwise: async (request, reply) => {
      const refuse: Parameters<typeof watchRoute>[2]['refuse'] = (to, why, { id }) => {
        const { status, headers, body } = envelopeOf(why, id);
        to.send(status, headers, body);
      };
      if (request.path === watchPath) {
        return watchRoute(request, reply, { registry, identify: requester, after, refuse });
      }
      if (request.path.startsWith(apiPath)) {
        const by = await requester(request);
        if (!by.ok) return refuse(reply, by.error, request);
        // Its schemas are loaded by its first caller. To ask for a module again is not free: it goes through the loader.
        answer ??= (await import('../../control/registry/api/index.ts')).registryApi;
        return answer(request, reply, registry, by.value);
      }
      refuse(reply, refusal('not_found', `There is no ${request.path} here.`), request);
    },
  });
}

/** By owner (`principalKey`), made anew for each state of the registry that is asked about. */
function instancesByApp(control: Control, registry: Registry): RegistryPlane['instancesOfApp'] {
  let seen: unknown;
  let byOwner = new Map<string, Instance[]>();
  return (appId) => {
    const { instancesById } = control.snapshot().registry;
    if (seen !== instancesById) {
      seen = instancesById;
      byOwner = new Map();
      for (const each of instancesById.values()) {
        byOwner.set(each.owner, [...(byOwner.get(each.owner) ?? []), each]);
      }
    }
    const owner = `app:${appId}`;
    return (byOwner.get(owner) ?? []).filter((each) => registry.isLive(each));
  };
}

function follow(registry: Registry, deployment: () => Deployment, signal: AbortSignal): void {
  registry.watch((changes) => {
    const types = new Set(changes.map(({ instance }) => instance.nodeType));
    const now = deployment();
    const { config } = now;
    const ids = Object.entries(config.providers).flatMap(([id, provider]) =>
      'discover' in provider && types.has(provider.discover?.nodeType ?? '') ? [id] : [],
    );
    if (ids.length === 0) return;
    const { fleet, providers } = now.view();
    fleet.watch([...providers.values()]);
    void listUntilThere(now, ids, signal);
  }, signal);
}

/** After how long a machine that has just joined is asked again: others may learn of it a little later than we do. */
const listAgainMs = [200, 300, 500, 500, 1_000, 1_000, 2_000, 4_000] as const;

/** The first machine of a provider brings its models, as soon as it can be reached. Further ones rarely bring others. */
async function listUntilThere(
  { catalog }: Pick<Deployment, 'catalog'>,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const missing = (): readonly string[] =>
    catalog
      .states()
      .flatMap(({ provider, models }) =>
        ids.includes(provider) && models.length === 0 ? [provider] : [],
      );
  if (missing().length === 0) {
    await catalog.relist(ids, signal);
    return;
  }
  for (const ms of [0, ...listAgainMs]) {
    await sleep(ms, undefined, { ref: false });
    const now = missing();
    if (now.length === 0 || signal.aborted) return;
    await catalog.listNow(now, signal);
  }
}
