import { hostname } from 'node:os';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { IdentityMapping, MeshConfig } from '@postern/core/contract';
import type { DstackAgent } from '../../adapters/attestor-dstack/index.ts';
import type { Egress } from '../../http/index.ts';
import type {
  AgentCall,
  BeginMeshSpan,
  MeshPlane,
  MeshRecord,
  RecordMesh,
  ResolveTarget,
  RevokedLists,
} from '../../mesh/index.ts';
import { gatewayCandidate, meshLimitsWith, openMeshPlane, refusalFacts } from '../../mesh/index.ts';
import type { Logger } from '../../observe/index.ts';
import { createMeshDecider, type MeshPolicy } from './decide.ts';
import { createFactsFinder, peerTools } from './facts.ts';
import { ownSourceOf, sessionProofOf, trustWith } from './identity.ts';
import { searchGateway } from './gateway-domain.ts';
import { LiveMesh } from './live.ts';
import { planMesh } from './plan.ts';

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
  /** Told of every decision at an edge. */
  readonly record?: RecordMesh;
  readonly beginSpan?: BeginMeshSpan;
}

export interface MeshRegistry {
  /** Where it answers apps. */
  readonly socket: string;
  readonly resolve: ResolveTarget;
}

/** The mesh of this process, and how it follows its configuration. */
export interface Mesh {
  readonly plane: MeshPlane;
  /** Trust, revocations, targets and gateway domain of a changed configuration; doors stay where they are. A text: nothing changed. */
  reload(config: MeshConfig): Promise<Result<void, string>>;
  /** Who is revoked in the journal now: refused from here on, and cut where a connection is open. */
  revoke(lists: RevokedLists): void;
  close(graceMs: number): Promise<void>;
}

/** Opens the mesh of a configuration. Nothing of it is loaded where there is none. */
export async function startMesh(start: MeshStart): Promise<Result<Mesh, string>> {
  const { config, env, stateDir, egress, nowMs, logger } = start;
  const plan = planMesh(config, env, start.registry?.socket);
  if (!plan.ok) return plan;
  const first = await LiveMesh.open(config, start.registry?.resolve);
  if (!first.ok) return first;
  const live = first.value;
  if (config.trust.insecureSimulatorRoot !== undefined) {
    logger.warn({ problem: 'a simulator is believed: peers prove nothing' }, 'mesh');
  }
  const onProblem = (problem: string): void => logger.warn({ problem }, 'mesh');
  const own = await ownSourceOf(config, { env, stateDir, egress, nowMs, onProblem });
  if (!own.ok) return own;
  const { source, agent } = own.value;
  const session = sessionProofOf(config.sessionProof, agent, env);
  if (!session.ok) return session;
  const believed = trustWith(
    live.trust,
    source.bundles === undefined ? undefined : () => source.bundles?.() ?? new Map(),
  );
  const { doors } = plan.value;
  const opened = await openMeshPlane({
    source,
    judge: {
      trust: believed,
      tools: peerTools(),
      findFacts: createFactsFinder({ stateDir, egress, nowMs, trust: believed }),
      nowMs,
      ...(session.value === undefined ? {} : { session: session.value }),
      limits: meshLimitsWith({ bodyBytesMax: config.outbound.bodyBytes }),
    },
    decide: createMeshDecider({ policy: start.policy, mappings: start.mappings }),
    resolve: live.resolve,
    record: (record) => {
      logRecord(logger, record);
      start.record?.(record);
    },
    ...(start.beginSpan === undefined ? {} : { beginSpan: start.beginSpan }),
    doors,
    hosts: ['localhost', '127.0.0.1', '::1', hostname(), 'vpc-server', ...config.outbound.hosts],
    authPort: config.auth.port,
    agentPassthrough: new Set(config.agentPassthrough),
    ...(agent === undefined
      ? {}
      : { callAgent: (method, body) => passThrough(agent, method, body) }),
    onProblem,
  });
  if (!opened.ok) return err(`mesh: ${opened.error}`);
  const search = searchFor(start, live, opened.value);
  return ok({
    plane: opened.value,
    reload: async (next) => {
      const loaded = await live.load(next);
      if (!loaded.ok) return loaded;
      opened.value.sweep();
      return loaded;
    },
    revoke: (lists) => {
      live.revoke(lists);
      opened.value.sweep();
    },
    close: async (graceMs) => {
      search?.close();
      await opened.value.close(graceMs);
    },
  });
}

/** Asks gateways for their domain where the configuration names none. */
function searchFor(
  { config, egress, logger }: MeshStart,
  live: LiveMesh,
  plane: MeshPlane,
): { close(): void } | undefined {
  const { gatewayUrls, gatewayDomain } = config.outbound;
  if (gatewayUrls.length === 0 || gatewayDomain !== undefined) return undefined;
  const [door] = config.inbound;
  const port = door?.port ?? (config.auth.enabled ? config.auth.port : undefined);
  const protocol = door === undefined ? 'http/1.1' : protocols[door.protocol];
  return searchGateway({
    urls: gatewayUrls,
    egress,
    verify:
      port === undefined
        ? undefined
        : (domain) =>
            plane.probe({ port, protocol, candidateOf: (self) => gatewayCandidate(domain, self) }),
    onFound: (domain, from, isVerified) => {
      live.detected(domain);
      logger.info({ gateway: domain, from, verified: isVerified }, 'mesh gateway found');
    },
    onProblem: (problem) => logger.warn({ problem }, 'mesh'),
  });
}

const protocols = { http: 'http/1.1', h2c: 'h2', tcp: 'tcp' } as const;

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
  if (record.outcome !== 'allowed') logger.info(refusalFacts(record), 'mesh');
  else if (logger.isLevelEnabled('debug')) logger.debug(refusalFacts(record), 'mesh');
}
