import type { Result, Secret } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Control } from '../../control/index.ts';
import type { GatewayFacts, NetworkDesk } from '../../control/network/index.ts';
import type { PutTxtRecord, SignIn } from '../../coordination/index.ts';
import type { Egress } from '../../http/index.ts';
import type { Logger } from '../../observe/index.ts';
import type { Settings } from '../settings.ts';
import type { EngineConfig, NetworkPlan } from './plan.ts';
import type { NetworkPlane } from './plane.ts';
import type { SharedNetwork } from './turn.ts';

/** The embedded engine where it runs. */
export interface Network {
  readonly plane: NetworkPlane;
  readonly desk: NetworkDesk;
}

export interface NetworkStart {
  readonly engine: EngineConfig;
  readonly control: Control;
  readonly egress: Egress;
  readonly logger: Logger;
  /** Proxies in front of machines, whose word about a source counts. */
  readonly trustedProxies: readonly string[];
  /** Other gateways that coordinate the same network. */
  readonly shared: SharedNetwork | undefined;
  /** How this process is on the network, where it is. */
  readonly gateway: () => GatewayFacts | undefined;
}

/** Starts the engine where it has a URL. Without one nothing of it is loaded. */
export async function startNetwork(
  settings: Settings,
  { engine, control, egress, logger, trustedProxies, shared, gateway }: NetworkStart,
): Promise<Result<Network | undefined, string>> {
  if (settings.url === undefined && engine.url === undefined) return ok(undefined);
  if ((engine.kind ?? 'embedded') !== 'embedded') return ok(undefined);
  const [{ planNetwork }, { openNetworkPlane }, { deskOfPlane }] = await Promise.all([
    import('./plan.ts'),
    import('./plane.ts'),
    import('./desk.ts'),
  ]);
  const planned = planNetwork(engine, { url: settings.url, env: settings.env });
  if (!planned.ok) return planned;
  if (planned.value === undefined) return ok(undefined);
  const { plan, warnings } = planned.value;
  for (const problem of warnings) logger.warn({ problem }, 'network');
  const signIn = await signInOf(plan, settings, { egress, nowMs: control.system.nowMs });
  if (!signIn.ok) return signIn;
  const controlKey = await controlKeyOf(engine, settings, { egress, nowMs: control.system.nowMs });
  if (!controlKey.ok) return controlKey;
  const opened = await openNetworkPlane({
    plan,
    control,
    shared,
    controlKey: controlKey.value,
    putTxtRecord: await txtRecordsOf(engine, settings),
    stateDir: settings.stateDir,
    logger,
    trustedProxies,
    newRequestId: () => control.system.newId(),
    ...(signIn.value === undefined ? {} : { signIn: signIn.value }),
  });
  if (!opened.ok) return err(opened.error);
  return ok({
    plane: opened.value,
    desk: deskOfPlane(opened.value, gateway),
  });
}

async function txtRecordsOf(
  { certificateHook }: EngineConfig,
  { env }: Settings,
): Promise<PutTxtRecord | undefined> {
  if (certificateHook === undefined) return undefined;
  const { createDnsCommand } = await import('../../adapters/dns-command/index.ts');
  return createDnsCommand({ command: certificateHook, env });
}

async function controlKeyOf(
  { controlKey }: EngineConfig,
  { env }: Settings,
  { egress, nowMs }: { readonly egress: Egress; readonly nowMs: () => number },
): Promise<Result<Secret | undefined, string>> {
  if (controlKey === undefined) return ok(undefined);
  const { secretReader } = await import('../../adapters/secrets/index.ts');
  const read = await secretReader(controlKey, { env, nowMs, egress })();
  return read.ok ? read : err(`engine.controlKey: ${read.error.message}`);
}

async function signInOf(
  { oidc, url }: NetworkPlan,
  { env }: Settings,
  { egress, nowMs }: { readonly egress: Egress; readonly nowMs: () => number },
): Promise<Result<SignIn | undefined, string>> {
  if (oidc === undefined) return ok(undefined);
  const { clientSecretEnv } = oidc;
  const secret = clientSecretEnv === undefined ? undefined : env[clientSecretEnv];
  if (clientSecretEnv !== undefined && (secret === undefined || secret === '')) {
    return err(`engine.oidc.clientSecretEnv: ${clientSecretEnv} is not set.`);
  }
  const { createOidcSignIn } = await import('../../adapters/sign-in-oidc/index.ts');
  return ok(
    createOidcSignIn({
      issuer: oidc.issuer,
      clientId: oidc.clientId,
      clientSecret: secret,
      callbackUrl: `${url.origin}/oidc/callback`,
      allowedDomains: oidc.allowedDomains,
      egress,
      nowMs,
    }),
  );
}
