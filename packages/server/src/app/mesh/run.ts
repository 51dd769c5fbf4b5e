import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Config, MeshConfig } from '@postern/core/contract';
import { parsePolicyText } from '@postern/core/policy';
import type { DstackMeshToml } from '../../mesh/index.ts';
import { parseDstackMeshToml } from '../../mesh/index.ts';
import type { Egress } from '../../http/index.ts';
import type { Logger } from '../../observe/index.ts';
import { describeProblem, loadConfigFile } from '../config-file.ts';
import { createLazyEgress } from '../egress.ts';
import { createClock } from '../host-facts.ts';
import type { Settings } from '../settings.ts';
import { policyFileOf } from '../settings.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { type Watch, watchFile } from '../watch.ts';
import type { MeshPolicy } from './decide.ts';
import { startMesh } from './start.ts';
import { openStatusDoor } from './status-door.ts';

export interface RunMesh {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly nowMs: () => number;
  /** Of this build, for collectors of traces. */
  readonly version: string;
  /** A `dstack-mesh.toml`, whose words count over those of the configuration. */
  readonly tomlFile: string | undefined;
}

export interface RunningMeshAlone {
  readonly listeners: readonly { readonly kind: string; readonly address: string }[];
  /** Reads the files again: all of them count or nothing. Doors and our own identity stay as they are. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** How long open answers may run on after a stop. */
const drainMs = 30_000;

/** The mesh alone. Its policy is the file as it is: there is no journal in which one could be in force. */
export async function runMesh(options: RunMesh): Promise<Result<RunningMeshAlone, string>> {
  const { settings, logger, nowMs, tomlFile } = options;
  const { configFile } = settings;
  if (configFile === undefined) {
    return err('There is no configuration file. The mesh needs one that says whom to believe.');
  }
  const read = (): Promise<Result<Read, string>> => readAll({ configFile, ...options });
  const first = await read();
  if (!first.ok) return first;
  let now = first.value;
  const egress = createLazyEgress();
  const tracing = await tracingOf(options, egress.egress);
  await tracing.configure(now.config.telemetry.traces);
  const started = await startMesh({
    beginSpan: (exchange) => tracing.meshSpan?.(exchange),
    config: now.mesh,
    mappings: () => now.config.identities.map,
    policy: () => now.policy,
    env: settings.env,
    stateDir: settings.stateDir,
    egress: egress.egress,
    nowMs,
    logger,
  });
  if (!started.ok) {
    await tracing.close();
    await egress.close();
    return started;
  }
  const { plane } = started.value;
  const { version } = options;
  const door = { plane, settings, config: now.config, version, nowMs, logger };
  const shown = await openStatusDoor({ ...door, newRequestId: randomUUID });
  const reload = async (): Promise<void> => {
    const next = await read();
    const taken = next.ok ? await started.value.reload(next.value.mesh) : next;
    if (!next.ok || !taken.ok) {
      const problem = taken.ok ? '' : taken.error;
      logger.error({ problem }, 'the mesh keeps what it had');
      return;
    }
    now = next.value;
    await tracing.configure(now.config.telemetry.traces);
    logger.info({ policy: now.policy?.revision ?? null }, 'mesh configuration in force');
  };
  const watches = watchAll([configFile, policyFileOf(settings), tomlFile], reload, logger);
  return ok({
    listeners: [...plane.listeners, ...shown],
    reload,
    stop: async () => {
      for (const watch of watches) watch.close();
      await Promise.all(shown.map((listener) => listener.close(0)));
      await started.value.close(drainMs);
      await tracing.close();
      await egress.close();
    },
  });
}

/** What the files say that the mesh follows while it runs. */
interface Read {
  readonly mesh: MeshConfig;
  readonly policy: MeshPolicy | undefined;
  /** All of it; `mesh` above is with the words of a `dstack-mesh.toml`. */
  readonly config: Config;
}

/** Spans of both edges, where the configuration has a collector for them. */
async function tracingOf(
  { logger, nowMs, settings, version }: RunMesh,
  egress: Egress,
): Promise<Tracing> {
  const { Tracing: Loaded } = await import('../telemetry/tracing.ts');
  const view = { clock: createClock(nowMs), env: settings.env, nowMs, egress, version, logger };
  return new Loaded(view, () => false);
}

async function readAll({
  configFile,
  settings,
  logger,
  tomlFile,
}: RunMesh & { readonly configFile: string }): Promise<Result<Read, string>> {
  const loaded = await loadConfigFile(configFile);
  if (!loaded.ok) return err(loaded.error.map(describeProblem).join('\n'));
  const { mesh } = loaded.value.config;
  if (mesh === undefined) return err(`${configFile} has no "mesh".`);
  const worded = tomlFile === undefined ? ok(mesh) : await withToml(mesh, tomlFile, logger);
  if (!worded.ok) return worded;
  const policy = await readPolicy(policyFileOf(settings), logger);
  if (!policy.ok) return policy;
  return ok({ mesh: worded.value, policy: policy.value, config: loaded.value.config });
}

function watchAll(
  files: readonly (string | undefined)[],
  reload: () => Promise<void>,
  logger: Logger,
): readonly Watch[] {
  return files
    .filter((file) => file !== undefined)
    .map((file) =>
      watchFile(
        file,
        () => void reload(),
        (message) => logger.warn({ file, message }, 'not watched; send SIGHUP after changes'),
      ),
    );
}

async function readPolicy(
  file: string,
  logger: Logger,
): Promise<Result<MeshPolicy | undefined, string>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    logger.warn({ problem: `${file} cannot be read: no peer is let in` }, 'mesh');
    return ok(undefined);
  }
  if (parsePolicyText(text).refusal !== undefined) {
    return err(`${file} is not a valid policy: postern policy check ${file}`);
  }
  return ok({ text, revision: createHash('sha256').update(text).digest('hex').slice(0, 12) });
}

async function withToml(
  config: MeshConfig,
  file: string,
  logger: Logger,
): Promise<Result<MeshConfig, string>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    return err(`${file}: ${cause instanceof Error ? cause.message : 'cannot be read'}`);
  }
  const parsed = parseDstackMeshToml(text);
  if (!parsed.ok) return err(`${file}: ${parsed.error}`);
  return ok(overlaid(config, parsed.value, logger));
}

function overlaid(config: MeshConfig, toml: DstackMeshToml, logger: Logger): MeshConfig {
  const { certFile, keyFile, gatewayDomain } = toml;
  const place = (door: 'client' | 'auth'): string => {
    const { address, port } = toml[door];
    const isEverywhere = address === '0.0.0.0' || address === '::';
    if (isEverywhere) {
      // These doors believe whoever reaches them: the original opened them to its whole network.
      const problem = `${door} listens on loopback and not on ${address}; mesh.${door === 'client' ? 'outbound' : 'auth'}.address says otherwise where that is wanted`;
      logger.warn({ problem }, 'mesh');
      return String(port);
    }
    return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  };
  const files = certFile !== undefined && keyFile !== undefined;
  return {
    ...config,
    ...(files ? { identity: { certificateFile: certFile, keyFile } } : {}),
    outbound: {
      ...config.outbound,
      address: config.outbound.address ?? place('client'),
      ...(gatewayDomain === undefined ? {} : { gatewayDomain }),
    },
    auth: { ...config.auth, enabled: true, address: config.auth.address ?? place('auth') },
  };
}
