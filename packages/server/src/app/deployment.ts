import process from 'node:process';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import { createIdentityMap } from '@postern/core/identity';
import type { Target } from '@postern/core/routing';
import { aliasTargets } from '@postern/core/routing';
import type { Snapshot } from '@postern/core/state';
import { createKeyAuthenticator } from '../adapters/identity-keys/index.ts';
import type { OperatorFactsReader } from '../adapters/identity-local/index.ts';
import { createOperatorAuthenticator, ownerPrincipal } from '../adapters/identity-local/index.ts';
import {
  createLocalApiWhois,
  createServeAuthenticator,
  findLocalApi,
} from '../adapters/identity-serve/index.ts';
import type {
  AccessPolicy,
  Fleet,
  GatewayView,
  Identify,
  ModelCatalog,
  Whois,
} from '../gateway/index.ts';
import { createCatalog, createIdentify } from '../gateway/index.ts';
import type { Egress } from '../http/index.ts';
import type { AttestedDesk } from './attested/index.ts';
import { cutWith } from './cut.ts';
import type { IssuerKeyRing } from './issuers.ts';
import { createTokens } from './issuers.ts';
import type { MoneyPlane } from './money.ts';
import type { GatewayNode } from './network/gateway-node.ts';
import { createProviders } from './providers.ts';
import type { Discovery } from './registry/places.ts';

/** What one configuration makes of the gateway. Replaced whole at a reload; requests keep the one they began with. */
export interface Deployment {
  readonly config: Config;
  readonly catalog: ModelCatalog;
  readonly identify: Identify;
  view(): GatewayView;
}

export interface DeploymentSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  readonly egress: Egress;
  readonly fleet: Fleet;
  readonly snapshot: () => Snapshot;
  readonly issuerKeys: IssuerKeyRing;
  readonly operatorFacts: OperatorFactsReader;
  readonly owner: { readonly uid: number | undefined; readonly name: string };
  readonly hasConfigFile: boolean;
  readonly money: MoneyPlane;
  /** What the policy in force decides, and nothing beside it. */
  readonly policyAccess: () => AccessPolicy;
  /** This process on the private network, where it is. */
  readonly gatewayNode: () => Pick<GatewayNode, 'whois' | 'addresses'> | undefined;
  /** Who has an address, by the engine's API. */
  readonly routedWhois?: Whois | undefined;
  /** The embedded engine runs here: nobody else's network is believed. */
  readonly hasEngine: boolean;
  readonly discovery?: Discovery | undefined;
  /** Aborted when a shutdown ends the answers that are still open. */
  readonly cut: AbortSignal;
  readonly attested: Pick<AttestedDesk, 'egressFor' | 'watch'>;
}

export async function createDeployment(
  config: Config,
  surroundings: DeploymentSurroundings,
): Promise<Result<Deployment, string>> {
  const { nowMs } = surroundings;
  const { attested } = surroundings;
  const set = await createProviders(config.providers, {
    ...surroundings,
    attestedEgress: (id, provider) => attested.egressFor(id, provider, config.mesh),
  });
  if (!set.ok) return set;
  const catalog = createCatalog({
    ...set.value,
    aliases: aliasesOf(config),
    defaultModel: config.defaultModel,
    nowMs,
  });
  const identify = await createIdentification(config, surroundings);
  if (!identify.ok) return identify;
  const providers = new Map(
    set.value.providers.map((provider) => [
      provider.id,
      attested.watch(cutWith(surroundings.cut, provider)),
    ]),
  );
  const money = surroundings.money.of(config, surroundings);
  if (!money.ok) return money;
  const limits = { bodyBytes: config.limits.bodyBytes, heartbeatMs: config.limits.heartbeatMs };
  return ok({
    config,
    catalog,
    identify: identify.value,
    view: () => ({
      catalog: catalog.current(),
      providers,
      access: surroundings.policyAccess(),
      limits,
      fleet: surroundings.fleet,
      money: money.value,
    }),
  });
}

function aliasesOf(config: Config): Record<string, readonly Target[]> {
  const maxOutputTokensOf = (id: string): number | undefined => {
    const provider = config.providers[id];
    return provider === undefined || provider.kind === 'builtin'
      ? undefined
      : provider.maxOutputTokens;
  };
  return Object.fromEntries(
    Object.entries(config.aliases).map(([alias, steps]) => [
      alias,
      aliasTargets(steps, maxOutputTokensOf),
    ]),
  );
}

async function createIdentification(
  config: Config,
  surroundings: DeploymentSurroundings,
): Promise<Result<Identify, string>> {
  const identityMap = createIdentityMap(config.identities.map);
  const tokens = await createTokens(config, identityMap, {
    ring: surroundings.issuerKeys,
    surroundings,
  });
  if (!tokens.ok) return err(tokens.error);
  const whois = await meshWhois(surroundings);
  const { uid, name } = surroundings.owner;
  const owner = ownerPrincipal(uid, name, identityMap.operatorSelectors);
  return ok(
    createIdentify({
      keys: createKeyAuthenticator({
        state: surroundings.snapshot,
        identityMap: () => identityMap,
      }),
      ...(tokens.value === undefined ? {} : { tokens: tokens.value }),
      operator: createOperatorAuthenticator({
        facts: surroundings.operatorFacts,
        owner,
        hasConfigFile: surroundings.hasConfigFile,
        trustLoopback: config.trustLoopback,
      }),
      whois,
      tailnetAddresses: () => surroundings.gatewayNode()?.addresses() ?? [],
      serve: createServeAuthenticator(whois),
      ...(surroundings.routedWhois === undefined ? {} : { routedWhois: surroundings.routedWhois }),
      owner,
      acceptFunnel: config.publicEdge?.funnel ?? false,
    }),
  );
}

/** Whois of our own node; where this process is none, of the tailscaled of this machine, where it has one. */
async function meshWhois({ env, gatewayNode, hasEngine }: DeploymentSurroundings): Promise<Whois> {
  const place = hasEngine ? undefined : await findLocalApi(process.platform, env);
  const local =
    place === undefined
      ? undefined
      : createLocalApiWhois({ place, monotonicMs: () => performance.now() }).whois;
  const nobody: Whois = () => ok(undefined);
  return (address) => (gatewayNode()?.whois ?? local ?? nobody)(address);
}
