import { lstatSync } from 'node:fs';
import { hostname } from 'node:os';
import process from 'node:process';
import { VerdictCache } from '@postern/core/attest';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { IdentityMapping, MeshConfig } from '@postern/core/contract';
import { DstackAgent, findAgent, parseAddress } from '../../adapters/attestor-dstack/index.ts';
import { nodeCrypto, nodeSignatureVerifier } from '../../adapters/crypto-node/index.ts';
import { createAgentSource, createFileSource } from '../../adapters/mesh-identity/index.ts';
import type { Egress } from '../../http/index.ts';
import type {
  AgentCall,
  IdentitySource,
  MeshPlane,
  MeshRecord,
  MeshTrust,
  ResolveTarget,
} from '../../mesh/index.ts';
import { createResolver, meshLimitsWith, openMeshPlane, refusalFacts } from '../../mesh/index.ts';
import type { Logger } from '../../observe/index.ts';
import { createMeshDecider, type MeshPolicy } from './decide.ts';
import { createFactsFinder, gunzip } from './facts.ts';
import { planMesh } from './plan.ts';
import { loadTrust } from './trust.ts';

export interface MeshStart {
  readonly config: MeshConfig;
  readonly mappings: () => readonly IdentityMapping[];
  readonly policy: () => MeshPolicy | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stateDir: string;
  readonly egress: Egress;
  readonly nowMs: () => number;
  readonly logger: Logger;
  /** The registry of this process, where it has one. */
  readonly registry?: MeshRegistry;
}

export interface MeshRegistry {
  /** Where it answers apps. */
  readonly socket: string;
  readonly resolve: ResolveTarget;
}

/** The mesh of this process, and how it follows its configuration. */
export interface Mesh {
  readonly plane: MeshPlane;
  /** Trust, revocations and files of a changed configuration; doors stay where they are. A text: nothing changed. */
  reload(config: MeshConfig): Promise<Result<void, string>>;
}

/** Opens the mesh of a configuration. Nothing of it is loaded where there is none. */
export async function startMesh(start: MeshStart): Promise<Result<Mesh, string>> {
  const { config, env, stateDir, egress, nowMs, logger } = start;
  const plan = planMesh(config, env, start.registry?.socket);
  if (!plan.ok) return plan;
  const first = await loadTrust(config, 1);
  if (!first.ok) return err(`mesh.trust: ${first.error}`);
  let trust: MeshTrust = first.value;
  let generation = 1;
  if (config.trust.insecureSimulatorRoot !== undefined) {
    logger.warn({ problem: 'a simulator is believed: peers prove nothing' }, 'mesh');
  }
  const agent = agentOf(config, env);
  if (!agent.ok) return agent;
  const { doors, fixed, gateway } = plan.value;
  const opened = await openMeshPlane({
    source: agent.value.source(nowMs),
    judge: {
      trust: () => trust,
      tools: {
        crypto: nodeCrypto,
        signatures: nodeSignatureVerifier,
        cache: new VerdictCache(),
        gunzip,
      },
      findFacts: createFactsFinder({ stateDir, egress, nowMs, trust: () => trust }),
      nowMs,
      limits: meshLimitsWith({ bodyBytesMax: config.outbound.bodyBytes }),
    },
    decide: createMeshDecider({ policy: start.policy, mappings: start.mappings }),
    resolve: createResolver({
      fixed,
      gateway,
      ...(start.registry === undefined ? {} : { registry: start.registry.resolve }),
    }),
    record: (record) => logRecord(logger, record),
    doors,
    hosts: ['localhost', '127.0.0.1', '::1', hostname(), 'vpc-server', ...config.outbound.hosts],
    authPort: config.auth.port,
    agentPassthrough: new Set(config.agentPassthrough),
    ...(agent.value.call === undefined ? {} : { callAgent: agent.value.call }),
    onProblem: (problem) => logger.warn({ problem }, 'mesh'),
  });
  if (!opened.ok) return err(`mesh: ${opened.error}`);
  return ok({
    plane: opened.value,
    reload: async (next) => {
      const loaded = await loadTrust(next, generation + 1);
      if (!loaded.ok) return err(`mesh.trust: ${loaded.error}`);
      generation += 1;
      trust = loaded.value;
      opened.value.sweep();
      return ok(undefined);
    },
  });
}

interface OwnSource {
  source(nowMs: () => number): IdentitySource;
  readonly call: AgentCall | undefined;
}

function agentOf(config: MeshConfig, env: MeshStart['env']): Result<OwnSource, string> {
  const { identity } = config;
  if ('keyFile' in identity) {
    const { certificateFile, keyFile } = identity;
    const uid = process.geteuid?.();
    const source = (): IdentitySource => createFileSource({ certificateFile, keyFile, uid });
    return ok({ source, call: undefined });
  }
  const found =
    identity.agent === 'auto'
      ? findAgent(env, isSocket)
      : { address: parseAddress(identity.agent), dialect: 'dstack' as const };
  if (found?.address === undefined) {
    return err(
      'mesh.identity: there is no guest agent here. In a dstack VM mount /var/run/dstack.sock; elsewhere give certificateFile and keyFile.',
    );
  }
  if (found.dialect !== 'dstack') {
    return err('mesh.identity: this guest agent (tappd) is too old to certify keys with evidence.');
  }
  const { address } = found;
  const agent = new DstackAgent({ address });
  const name = address.kind === 'socket' ? address.path : address.url.href;
  return ok({
    source: (nowMs) => createAgentSource({ agent, name: `guest agent ${name}`, nowMs }),
    call: (method, body) => passThrough(agent, method, body),
  });
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(path).isSocket();
  } catch {
    return false;
  }
}

/** The two methods that a configuration may open: they show what anybody may see, and give no key. */
async function passThrough(
  agent: DstackAgent,
  method: string,
  body: Uint8Array,
): ReturnType<AgentCall> {
  const answered =
    method === 'Info' ? await agent.info() : await agent.getQuote(reportDataOf(body));
  if (!answered.ok) {
    return { status: 502, body: JSON.stringify({ error: answered.error.message }) };
  }
  const shown = JSON.stringify(answered.value, (_key, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
  );
  return { status: 200, body: snakeCase(shown) };
}

function reportDataOf(body: Uint8Array): Uint8Array {
  const match = /"report_data"\s*:\s*"([0-9a-fA-F]{0,128})"/.exec(Buffer.from(body).toString());
  return new Uint8Array(Buffer.from(match?.[1] ?? '', 'hex'));
}

/** Members as the agent itself names them. */
function snakeCase(json: string): string {
  const value: unknown = JSON.parse(json);
  if (typeof value !== 'object' || value === null) return json;
  const entries = Object.entries(value).map(([name, member]) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    member,
  ]);
  return JSON.stringify(Object.fromEntries(entries));
}

function logRecord(logger: Logger, record: MeshRecord): void {
  const facts = refusalFacts(record);
  if (record.outcome === 'allowed') logger.debug(facts, 'mesh');
  else logger.info(facts, 'mesh');
}
