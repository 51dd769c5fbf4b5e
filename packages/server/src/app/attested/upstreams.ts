import { createHash } from 'node:crypto';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { AttestedConfig, MeshConfig } from '@postern/core/contract';
import { createPeerEgress } from '../../adapters/egress-peer/index.ts';
import { createAnonymousSource } from '../../adapters/mesh-identity/index.ts';
import type { Egress, OutboundAnswer } from '../../http/index.ts';
import type { MeshAddress, MeshTrust, PeerIdentity, PeerWay } from '../../mesh/index.ts';
import {
  createResolver,
  meshAddress,
  MeshClient,
  meshLimits,
  OpenPeers,
  OwnIdentity,
  parseCandidate,
} from '../../mesh/index.ts';
import { createFactsFinder, peerTools } from '../mesh/facts.ts';
import { loadTrust } from '../mesh/trust.ts';

/** Who served an answer, and by which policy that was good. */
export interface ServedBy {
  readonly peer: PeerIdentity;
  readonly policyGeneration: number;
  /** SHA-256 of what the policy says, without its generation: the same policy has the same digest after a restart. */
  readonly policyDigest: string;
}

/** What the running mesh gives to calls of our own. */
export interface MeshCalls {
  wayTo(address: MeshAddress): PeerWay;
}

export interface UpstreamSurroundings {
  readonly stateDir: string;
  readonly egress: Egress;
  readonly nowMs: () => number;
  readonly mesh: () => MeshCalls | undefined;
  readonly onAnswer: (answer: OutboundAnswer, by: ServedBy) => void;
  readonly onProblem: (message: string) => void;
}

/** One upstream as its provider configures it. */
export interface UpstreamPlan {
  readonly provider: string;
  readonly attested: AttestedConfig;
  readonly baseUrl: URL;
  /** The mesh of the same configuration, with its defaults where it has none. */
  readonly mesh: MeshConfig;
}

interface Judging {
  trust: MeshTrust;
  policyDigest: string;
}

interface Known {
  readonly judging: Judging;
  readonly egress: Egress;
}

/** Upstreams with their connections, which outlive a reload: the same plan keeps its own, under the trust of now. */
export class AttestedUpstreams {
  readonly #surroundings: UpstreamSurroundings;
  readonly #known = new Map<string, Known>();
  readonly #ends: (() => void)[] = [];
  #generation = 0;

  constructor(surroundings: UpstreamSurroundings) {
    this.#surroundings = surroundings;
  }

  async egressFor(plan: UpstreamPlan): Promise<Result<Egress, string>> {
    const { provider, attested, baseUrl, mesh } = plan;
    const appraisalFile = attested.appraisalFile ?? mesh.trust.appraisalFile;
    if (appraisalFile === undefined) {
      return err(`provider "${provider}": attested needs an appraisalFile, here or in mesh.trust`);
    }
    const where = addressOf(plan);
    if (!where.ok) return err(`provider "${provider}": ${where.error}`);
    this.#generation += 1;
    const loaded = await loadTrust(
      { ...mesh, trust: { ...mesh.trust, appraisalFile } },
      this.#generation,
    );
    if (!loaded.ok) return err(`provider "${provider}": attested: ${loaded.error}`);
    const policyDigest = digestOf(loaded.value);
    const key = JSON.stringify([attested, baseUrl.href, mesh.trust]);
    const known = this.#known.get(key);
    if (known !== undefined) {
      known.judging.trust = loaded.value;
      known.judging.policyDigest = policyDigest;
      return ok(known.egress);
    }
    const judging: Judging = { trust: loaded.value, policyDigest };
    const made =
      attested.via === 'mesh'
        ? ok(() => this.#surroundings.mesh()?.wayTo(where.value))
        : await this.#direct(where.value, baseUrl, judging);
    if (!made.ok) return made;
    const egress = createPeerEgress({
      way: made.value,
      onAnswer: (answer, peer) => {
        const { trust, policyDigest: digest } = judging;
        const policyGeneration = trust.appraisal?.generation ?? 0;
        this.#surroundings.onAnswer(answer, { peer, policyGeneration, policyDigest: digest });
      },
    });
    this.#known.set(key, { judging, egress });
    return ok(egress);
  }

  close(): void {
    for (const end of this.#ends.splice(0)) end();
    this.#known.clear();
  }

  /** Straight to the address of the provider, showing no certificate of our own. */
  async #direct(
    address: MeshAddress,
    baseUrl: URL,
    judging: Judging,
  ): Promise<Result<() => PeerWay, string>> {
    const { stateDir, egress, nowMs, onProblem } = this.#surroundings;
    const port = baseUrl.port === '' ? '443' : baseUrl.port;
    const candidate = parseCandidate(`${baseUrl.hostname}:${port}`);
    if (!candidate.ok) return err(`baseUrl: ${candidate.error}`);
    const opened = await OwnIdentity.open({ source: createAnonymousSource(nowMs), nowMs });
    if (!opened.ok) return opened;
    const open = new OpenPeers();
    const trust = (): MeshTrust => judging.trust;
    const client = new MeshClient({
      identity: opened.value,
      judge: {
        trust,
        tools: peerTools(),
        findFacts: createFactsFinder({ stateDir, egress, nowMs, trust }),
        nowMs,
        limits: meshLimits,
      },
      resolve: createResolver({
        fixed: new Map([[`${address.appId}:${address.port}`, [candidate.value]]]),
        gateway: undefined,
      }),
      open,
      onRefused: ({ appId }, problem) => {
        if (problem.kind === 'refused') onProblem(`upstream ${baseUrl.host} is not ${appId}`);
      },
    });
    const sweep = setInterval(() => open.sweep(trust().revoked), meshLimits.sweepMs).unref();
    this.#ends.push(() => {
      clearInterval(sweep);
      client.close();
      opened.value.close();
      open.close('outbound');
    });
    const way: PeerWay = {
      agent: client.agentFor(address),
      peerOf: (socket) => (socket === null ? undefined : open.peerOf(socket)),
    };
    return ok(() => way);
  }
}

function addressOf({ attested, baseUrl }: UpstreamPlan): Result<MeshAddress, string> {
  if (attested.via === 'tls' && baseUrl.protocol !== 'https:') {
    return err('attested: baseUrl is https, since the evidence is in the certificate');
  }
  const port = baseUrl.port === '' ? '443' : baseUrl.port;
  const address = meshAddress(attested.app, port, attested.instance);
  return address.ok ? address : err(`attested: ${address.error}`);
}

function digestOf({ appraisal }: MeshTrust): string {
  const { generation: _ours, ...said } = appraisal ?? { generation: 0 };
  return createHash('sha256').update(JSON.stringify(said)).digest('hex');
}
