import { existsSync } from 'node:fs';
import process from 'node:process';
import type { Result, Secret } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { localSockets } from '../../adapters/identity-serve/index.ts';
import type { NetworkEngine } from '../../control/engine/index.ts';
import type { Control, Requester } from '../../control/index.ts';
import type { Logger } from '../../observe/index.ts';
import type { Settings } from '../settings.ts';
import type { DoorOpener } from './gateway-doors.ts';
import type { GatewayNode } from './gateway-node.ts';
import type { EngineConfig } from './plan.ts';
import type { Network } from './start.ts';

export interface GatewayStart {
  readonly engine: EngineConfig;
  readonly control: Control;
  /** The embedded engine, where it runs. */
  readonly network: Network | undefined;
  /** The engine, where others run it. */
  readonly outside: NetworkEngine | undefined;
  readonly logger: Logger;
  readonly opener: DoorOpener;
}

/** Marks the machines that run the gateway: policies name it, and the name `ai` leads to it. */
const gatewayTag = 'tag:gateway';
const keyLifeMs = 600_000;
const defaultName = 'ai';
const defaultPort = 80;
const byProcess: Requester = { actor: { principal: 'system:gateway', channel: 'system' } };

/**
 * Puts this process on the private network, where there is one: in zero-config without `--url` nobody is looked for,
 * and without an engine only a tailscaled that is there already.
 */
export async function startGateway(
  settings: Settings,
  { engine, control, network, outside, logger, opener }: GatewayStart,
): Promise<GatewayNode | undefined> {
  const join = settings.join ?? engine.join ?? 'existing';
  if (join === 'off') return undefined;
  if (network === undefined && outside === undefined && join === 'existing') {
    const sockets = localSockets(process.platform, settings.env);
    if (settings.configFile === undefined || !sockets.some((each) => existsSync(each)))
      return undefined;
  }
  const { startGatewayNode } = await import('./gateway-node.ts');
  const foreign = network === undefined ? await foreignNetwork(settings, join) : undefined;
  return startGatewayNode({
    join,
    name: foreign?.name ?? engine.nodeName ?? defaultName,
    port: engine.nodePort ?? defaultPort,
    server: network?.plane.plan.url.origin ?? foreign?.server ?? outside?.url,
    makeKey:
      network === undefined ? (foreign?.key ?? keyOfOutside(outside)) : () => makeKey(control),
    stateDir: settings.stateDir,
    env: settings.env,
    logger,
    opener,
  });
}

/** Somebody else's network, to which TS_AUTHKEY admits this machine. */
async function foreignNetwork(
  { env }: Settings,
  join: 'existing' | 'start' | 'off',
): Promise<
  | { server: string; name: string | undefined; key: () => Promise<Result<Secret, string>> }
  | undefined
> {
  if (join !== 'start') return undefined;
  const { authKeyOf, readTailscaleEnv, tailscaleServer } = await import('../auto/tailscale-env.ts');
  const said = readTailscaleEnv(env);
  if (said.authKey === undefined) return undefined;
  return {
    server: said.loginServer ?? tailscaleServer,
    name: said.hostname,
    key: () => authKeyOf(said),
  };
}

/** An engine that others run makes the key for the gateway's own node. */
function keyOfOutside(
  engine: NetworkEngine | undefined,
): (() => Promise<Result<Secret, string>>) | undefined {
  if (engine === undefined) return undefined;
  return async () => {
    const made = await engine.createAuthKey({
      tags: [gatewayTag],
      reusable: false,
      ephemeral: false,
      preauthorized: true,
      lifeMs: keyLifeMs,
      description: 'the gateway itself',
    });
    return made.ok ? ok(made.value.key) : err(made.error.message);
  };
}

async function makeKey(control: Control): Promise<Result<Secret, string>> {
  const { createPreAuthKey } = await import('../../control/network/index.ts');
  const made = await createPreAuthKey(
    control,
    {
      tags: [gatewayTag],
      reusable: false,
      ephemeral: false,
      preApproved: true,
      lifeMs: keyLifeMs,
      description: 'the gateway itself',
    },
    byProcess,
  );
  return made.ok ? ok(made.value.secret) : err(made.error.message);
}
