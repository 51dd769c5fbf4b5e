import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result, Secret } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { EngineSettings } from '@postern/core/contract';
import type { Refusal } from '@postern/core/errors';
import { secretReader } from '../../adapters/secrets/index.ts';
import type { Control, Requester } from '../../control/index.ts';
import type { NetworkEngine, OutsideDesk, PolicyKeeper } from '../../control/engine/index.ts';
import type { GatewayFacts } from '../../control/network/index.ts';
import type { TrialClock } from '../../control/policy/index.ts';
import type { Egress } from '../../http/index.ts';
import type { Logger } from '../../observe/index.ts';

export interface OutsideOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly egress: Egress;
  readonly nowMs: () => number;
}

/** An engine that others run, with what keeps its policy at ours. */
export interface OutsideEngine extends OutsideDesk {
  readonly keeper: PolicyKeeper;
  close(): void;
}

type ReadSecret = () => Promise<Result<Secret, Refusal>>;

/** The engine of the configuration where others run it; undefined where it is ours, or none. err: what is missing. */
export async function outsideEngine(
  settings: EngineSettings,
  options: OutsideOptions,
): Promise<Result<NetworkEngine | undefined, string>> {
  const { kind = 'embedded' } = settings;
  const around = {
    egress: options.egress,
    nowMs: options.nowMs,
    monotonicMs: () => performance.now(),
    wait: async (ms: number) => {
      await sleep(ms, undefined, { ref: false });
    },
  };
  const secret = (
    source: Parameters<typeof secretReader>[0] | undefined,
    variable: string,
  ): ReadSecret | undefined => {
    if (source !== undefined) return secretReader(source, options);
    return set(options.env[variable]) === undefined
      ? undefined
      : secretReader({ env: variable }, options);
  };
  if (kind === 'headscale') {
    const { url: written, apiKey } = settings.headscale ?? {};
    const url = written ?? set(options.env['HEADSCALE_URL']);
    if (url === undefined || !URL.canParse(url)) {
      return err('engine.headscale.url: say where Headscale is, or set HEADSCALE_URL.');
    }
    const key = secret(apiKey, 'HEADSCALE_API_KEY');
    if (key === undefined) {
      return err(
        'engine.headscale.apiKey: Postern signs on by an API key (headscale apikeys create); set HEADSCALE_API_KEY.',
      );
    }
    const { headscaleEngine } = await import('../../adapters/engine-headscale/index.ts');
    return ok(headscaleEngine({ ...around, url: new URL(url), key }));
  }
  if (kind !== 'tailscale') return ok(undefined);
  const { tailscaleEngine } = await import('../../adapters/engine-tailscale/index.ts');
  const { apiKey, clientId, clientSecret, url, loginServer } = settings.tailscale ?? {};
  const key = secret(apiKey, 'TS_API_KEY');
  const id = clientId ?? set(options.env['TS_CLIENT_ID']);
  const ownSecret = secret(clientSecret, 'TS_CLIENT_SECRET');
  const place = {
    ...around,
    ...(url === undefined ? {} : { base: new URL(url) }),
    ...(loginServer === undefined ? {} : { loginServer: new URL(loginServer).origin }),
  };
  // A client is narrower than a key of a person, and does not end: it goes first.
  if (id !== undefined && ownSecret !== undefined) {
    return ok(tailscaleEngine({ ...place, credential: { kind: 'client', id, secret: ownSecret } }));
  }
  if (key !== undefined) return ok(tailscaleEngine({ ...place, credential: { kind: 'key', key } }));
  return err(
    'engine.tailscale: Postern signs on by TS_CLIENT_ID and TS_CLIENT_SECRET (an OAuth client with the scopes devices:core, devices:routes, auth_keys, policy_file, dns and users:read), or by TS_API_KEY.',
  );
}

function set(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

export interface OutsideStart extends OutsideOptions {
  readonly engine: EngineSettings;
  /** `--url`. */
  readonly url: string | undefined;
  readonly stateDir: string;
  readonly control: Control;
  readonly clock: TrialClock;
  readonly logger: Logger;
  /** How this process is on the network, where it is. */
  readonly gateway: () => GatewayFacts | undefined;
}

/** Starts following it. It may be away: that is said, and changes by itself. */
export async function followOutside(
  options: OutsideStart,
): Promise<Result<OutsideEngine | undefined, string>> {
  const { control, clock, logger, stateDir } = options;
  const { kind = 'embedded' } = options.engine;
  if (kind === 'embedded') return ok(undefined);
  if (options.url !== undefined) {
    return err(
      `--url (POSTERN_URL) is for the embedded engine, and engine.kind says ${kind}: leave one of them out.`,
    );
  }
  const made = await outsideEngine(options.engine, options);
  if (!made.ok) return made;
  const engine = made.value;
  if (engine === undefined) return ok(undefined);
  const { PolicyKeeper: Keeper, recordedEngine } = await import('../../control/engine/index.ts');
  const keeper = new Keeper({
    engine: recordedEngine(engine, control, byKeeper),
    control,
    clock,
    remembered: rememberedIn(path.join(stateDir, 'engine', `${kind}-policy.etag`)),
    onAlarm: (problem) => logger.error({ problem }, 'engine policy'),
  });
  const looked = await Promise.race([engine.look(), tooLong()]);
  if (looked?.ok === false) logger.error({ problem: looked.error.message }, 'engine');
  keeper.begin();
  return ok({
    engine,
    keeper,
    as: (by) => recordedEngine(engine, control, by),
    sync: () => keeper.sync(),
    look: () => keeper.push(),
    gateway: options.gateway,
    close: () => keeper.close(),
  });
}

const byKeeper: Requester = Object.freeze({
  actor: Object.freeze({ principal: 'system:engine', channel: 'system' }),
});

/** A start does not wait for an engine that is away. */
const firstLookMsMax = 2_000;

async function tooLong(): Promise<undefined> {
  await sleep(firstLookMsMax, undefined, { ref: false });
}

function rememberedIn(file: string) {
  return {
    read: async () => {
      const text = await readFile(file, 'utf8').catch(() => '');
      return set(text.trim());
    },
    write: async (etag: string) => {
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      await writeFile(file, `${etag}\n`, { mode: 0o600 });
    },
  };
}
