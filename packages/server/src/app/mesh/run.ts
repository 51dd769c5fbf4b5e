import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { MeshConfig } from '@postern/core/contract';
import { parsePolicyText } from '@postern/core/policy';
import type { DstackMeshToml, MeshListener } from '../../mesh/index.ts';
import { parseDstackMeshToml } from '../../mesh/index.ts';
import type { Logger } from '../../observe/index.ts';
import { describeProblem, loadConfigFile } from '../config-file.ts';
import { createLazyEgress } from '../egress.ts';
import type { Settings } from '../settings.ts';
import { policyFileOf } from '../settings.ts';
import type { MeshPolicy } from './decide.ts';
import { startMesh } from './start.ts';

export interface RunMesh {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly nowMs: () => number;
  /** A `dstack-mesh.toml`, whose words count over those of the configuration. */
  readonly tomlFile: string | undefined;
}

export interface RunningMeshAlone {
  readonly listeners: readonly MeshListener[];
  stop(): Promise<void>;
}

/** How long open answers may run on after a stop. */
const drainMs = 30_000;

/** The mesh alone. Its policy is the file as it is at the start: there is no journal in which one could be in force. */
export async function runMesh(options: RunMesh): Promise<Result<RunningMeshAlone, string>> {
  const { settings, logger, nowMs, tomlFile } = options;
  if (settings.configFile === undefined) {
    return err('There is no configuration file. The mesh needs one that says whom to believe.');
  }
  const loaded = await loadConfigFile(settings.configFile);
  if (!loaded.ok) return err(loaded.error.map(describeProblem).join('\n'));
  const { mesh, identities } = loaded.value.config;
  if (mesh === undefined) return err(`${settings.configFile} has no "mesh".`);
  const config = tomlFile === undefined ? ok(mesh) : await withToml(mesh, tomlFile, logger);
  if (!config.ok) return config;
  const policy = await readPolicy(policyFileOf(settings), logger);
  if (!policy.ok) return policy;
  const egress = createLazyEgress();
  const started = await startMesh({
    config: config.value,
    mappings: () => identities.map,
    policy: () => policy.value,
    env: settings.env,
    stateDir: settings.stateDir,
    egress: egress.egress,
    nowMs,
    logger,
  });
  if (!started.ok) {
    await egress.close();
    return started;
  }
  const { plane } = started.value;
  return ok({
    listeners: plane.listeners,
    stop: async () => {
      await plane.close(drainMs);
      await egress.close();
    },
  });
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
