import process from 'node:process';
import { err, ok } from '@postern/core/base';
import type { Config, RestartBy, RotateBy } from '@postern/core/contract';
import {
  createCommandRestarter,
  createCommandRotator,
} from '../../adapters/operate-command/index.ts';
import type { HttpHook } from '../../adapters/operate-http/index.ts';
import {
  createHttpRestarter,
  createHttpRotator,
  keepSecretFile,
  knock,
} from '../../adapters/operate-http/index.ts';
import { secretReader } from '../../adapters/secrets/index.ts';
import {
  createUnitRestarter,
  createUnitRotator,
  systemBus,
} from '../../adapters/service-systemd/units.ts';
import type { Egress } from '../../http/index.ts';
import type { OperatedUpstream, Restarter, Rotator } from '../../ops/index.ts';

export interface UpstreamSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  readonly egress: Egress;
}

/** One provider of the configuration, as far as an incident acts on it. */
export function upstreamOf(
  config: Config,
  provider: string,
  surroundings: UpstreamSurroundings,
): OperatedUpstream | undefined {
  const each = config.providers[provider];
  if (each === undefined || each.kind === 'builtin' || each.kind === 'bedrock') return undefined;
  const { key, operate, baseUrl, kind } = each;
  const reader = key === undefined ? undefined : secretReader(key, surroundings);
  const base = baseUrl.replace(/\/$/, '');
  const list = new URL(kind === 'openai' ? `${base}/models` : `${base}/v1/models`);
  return {
    provider,
    restarter: operate?.restart && restarterOf(operate.restart, surroundings),
    rotator: operate?.rotate && rotatorOf(operate.rotate, surroundings),
    credential: async () => {
      const read = await reader?.();
      if (read === undefined) return ok(undefined);
      return read.ok ? ok(read.value) : err(read.error.message);
    },
    keep: async (next) =>
      key !== undefined && 'file' in key
        ? keepSecretFile(key.file, next)
        : err(`providers.${provider}.key is no file: the gateway cannot be given the new key`),
    status: (credential) =>
      knock({
        url: list,
        credential,
        as: kind === 'openai' ? 'bearer' : 'x-api-key',
        egress: surroundings.egress,
      }),
  };
}

/** Where the manager of units is asked; tests, and machines with another place for it, name theirs. */
function busPlace(env: UpstreamSurroundings['env']): { socket: string; uid: number } {
  const named = /^unix:path=([^,;]+)/.exec(env['DBUS_SYSTEM_BUS_ADDRESS'] ?? '')?.[1];
  return { socket: named ?? systemBus, uid: process.geteuid?.() ?? 0 };
}

function restarterOf(by: RestartBy, surroundings: UpstreamSurroundings): Restarter {
  const { env } = surroundings;
  if ('systemd' in by) return createUnitRestarter(busPlace(env), by.systemd);
  if ('command' in by) return createCommandRestarter({ ...by, env });
  return createHttpRestarter({ ...hookOf(by.http, surroundings), statusUrl: by.http.statusUrl });
}

function rotatorOf(by: RotateBy, surroundings: UpstreamSurroundings): Rotator {
  const { env } = surroundings;
  if ('systemd' in by) return createUnitRotator(busPlace(env), by.systemd, by.credentialFile);
  if ('command' in by) return createCommandRotator(by.command, env);
  return createHttpRotator(hookOf(by.http, surroundings));
}

function hookOf(
  { url, method, bearer }: Extract<RotateBy, { http: unknown }>['http'],
  surroundings: UpstreamSurroundings,
): HttpHook {
  const token = bearer === undefined ? undefined : secretReader(bearer, surroundings);
  return { url, method, token, egress: surroundings.egress };
}
