import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import type { JsonObject, Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { DaemonReport, LocalApiPlace } from '../../adapters/identity-serve/index.ts';
import {
  askDaemonReport,
  askServeConfig,
  findLocalApi,
  serveOnSocket,
} from '../../adapters/identity-serve/index.ts';
import { oddServeKeys, serveRules } from '../../ops/index.ts';
import { socketPath } from '../listen.ts';
import type { Settings } from '../settings.ts';

/** How callers of the network come in. */
export type ServePlan =
  /** Serve hands over to the unix socket, with a certificate of the network or without. */
  | { readonly kind: 'serve'; readonly https: boolean; readonly name: string }
  /** The gateway itself listens on its addresses of the network. */
  | { readonly kind: 'listener'; readonly addresses: readonly string[] };

export interface ServeSetup {
  readonly plan: ServePlan;
  /** Why this and not the other, and what is still to do. */
  readonly notes: readonly string[];
  /** Where callers come in. */
  readonly urls: readonly string[];
}

/** The first release that is known to hand over to unix sockets; 1.90 is known not to. */
const socketsSince = { major: 1, minor: 102 } as const;

/**
 * Sets Serve up as this client allows: https to the unix socket where the network gives certificates, http to it where
 * it does not; and where the client cannot hand over to a socket, nothing, since the gateway then listens on the network
 * itself. What others set Serve to is left alone.
 */
export async function setUpServe(settings: Settings): Promise<Result<ServeSetup, string>> {
  const place = await ownOrMachines(settings);
  if (place === undefined) {
    return err('no tailscaled runs on this machine; start it, or: postern up --join');
  }
  const report = await askDaemonReport(place);
  if (!report.ok) return report;
  if (report.value.state !== 'Running') {
    return err(
      `the local tailscaled is ${report.value.state}: tailscale up, or: postern doctor network`,
    );
  }
  const plan = planServe(report.value);
  if (!plan.ok) return plan;
  const socket = socketPath(settings.stateDir, 'serve');
  if (plan.value.kind === 'listener') return ok(withListener(plan.value));
  const { name, https } = plan.value;
  const odd = await repairable(place);
  if (!odd.ok) return odd;
  const set = await serveOnSocket(place, { name, socket, https });
  if (!set.ok) return err(`Serve cannot be set: ${set.error}`);
  const checked = await isSet(place, socket);
  if (!checked.ok) return checked;
  const notes = existsSync(socket)
    ? []
    : [
        `nobody listens on ${socket} yet: start Postern with "listeners": {"serve": {"enabled": true}}`,
      ];
  if (!https) {
    notes.push(
      'this network gives no certificates (Headscale gives none; for the embedded engine see engine.certificateHook): http within WireGuard',
    );
  }
  return ok({ plan: plan.value, notes, urls: [`${https ? 'https' : 'http'}://${name}/`] });
}

/** Which way this client can. Pure. */
export function planServe({
  version,
  hasDevice,
  addresses,
  name,
  certDomains,
}: Pick<DaemonReport, 'version' | 'hasDevice' | 'addresses' | 'name' | 'certDomains'>): Result<
  ServePlan,
  string
> {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const takesSockets =
    major > socketsSince.major || (major === socketsSince.major && minor >= socketsSince.minor);
  if (takesSockets) return ok({ kind: 'serve', https: certDomains.includes(name), name });
  if (hasDevice) return ok({ kind: 'listener', addresses });
  return err(
    `tailscaled ${version} in userspace mode hands over to TCP ports alone, where callers cannot be told apart: update it to ${socketsSince.major}.${socketsSince.minor} or later`,
  );
}

function withListener(plan: Extract<ServePlan, { kind: 'listener' }>): ServeSetup {
  return {
    plan,
    notes: [
      'this tailscaled cannot hand over to a unix socket; the gateway listens on its own addresses of the network instead (engine.join, engine.nodePort), and Serve stays as it is',
    ],
    urls: plan.addresses.map((each) => `http://${each.includes(':') ? `[${each}]` : each}/`),
  };
}

/** The tailscaled that this Postern runs, else that of the machine. */
async function ownOrMachines({ stateDir, env }: Settings): Promise<LocalApiPlace | undefined> {
  const own = path.join(stateDir, 'tailscaled', 'tailscaled.sock');
  if (existsSync(own)) return { kind: 'socket', path: own };
  return findLocalApi(process.platform, env);
}

async function repairable(place: LocalApiPlace): Promise<Result<JsonObject, string>> {
  const config = await askServeConfig(place);
  if (!config.ok) return config;
  const odd = oddServeKeys(config.value);
  return odd.length === 0
    ? config
    : err(
        `its Serve configuration has keys that serve nothing (${odd.join(', ')}): tailscale serve reset, then again`,
      );
}

async function isSet(place: LocalApiPlace, socket: string): Promise<Result<undefined, string>> {
  const config = await askServeConfig(place);
  if (!config.ok) return config;
  const isThere = serveRules(config.value).some(({ target }) => target === `unix:${socket}`);
  return isThere
    ? ok(undefined)
    : err('tailscaled took the change and does not have it: look again');
}
