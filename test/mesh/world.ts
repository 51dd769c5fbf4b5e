/** Machines of a mesh in one process: simulated agents, real sockets, the real decision. */
import { createServer, type RequestListener, type Server } from 'node:http';
import {
  connect,
  createServer as createTcp,
  type AddressInfo,
  type Server as TcpServer,
} from 'node:net';
import { once } from 'node:events';
import {
  openCollateral,
  strictPlatformPolicy,
  vendorAnchors,
  VerdictCache,
  type AppraisalPolicy,
  type IntelCollateralSource,
} from '@postern/core/attest';
import { ok, Secret } from '@postern/core/base';
import { Simulator } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import {
  nodeCrypto,
  nodeSignatureVerifier,
} from '../../packages/server/src/adapters/crypto-node/index.ts';
import {
  createAgentSource,
  createCredential,
} from '../../packages/server/src/adapters/mesh-identity/index.ts';
import {
  createResolver,
  meshLimitsWith,
  nothingRevoked,
  openMeshPlane,
  type Candidate,
  type DecideMesh,
  type IdentitySource,
  type MeshDoors,
  type MeshLimits,
  type MeshPlane,
  type MeshRecord,
  type MeshTrust,
  type Service,
  type SessionProof,
} from '../../packages/server/src/mesh/index.ts';

export const seed = 'mesh';
export const caller: Simulator = machine('aa');
export const callee: Simulator = machine('bb');
export const stranger: Simulator = machine('cc');

/** A machine under the one KMS of these tests. */
export function machine(byte: string, instance = byte): Simulator {
  return new Simulator({
    seed,
    app: {
      appId: byte.repeat(20),
      composeHash: byte.repeat(32),
      instanceId: instance.repeat(20),
    },
    nowMs: Date.now,
  });
}

export const policy: AppraisalPolicy = {
  generation: 1,
  platform: strictPlatformPolicy,
  images: [
    {
      name: 'simulated',
      platform: 'tdx',
      measurements: {
        mrtd: '0d'.repeat(48),
        rtmr0: '10'.repeat(48),
        rtmr1: '11'.repeat(48),
        rtmr2: '12'.repeat(48),
      },
    },
  ],
  apps: [caller, callee].map(({ app }) => ({
    appId: app.appId,
    composeHashes: [app.composeHash],
  })),
  devices: [callee.deviceId],
  keyProviders: [callee.app.keyProvider.id],
};

export const trust: MeshTrust = {
  appraisal: policy,
  anchors: { ...vendorAnchors, intel: new Set([callee.rootHash]) },
  kmsRoots: [],
  bundles: new Map(),
  certificateLifetimeMsMax: 3_600_000,
  clockSkewMsMax: 300_000,
  revoked: nothingRevoked,
};

export const allowAll: DecideMesh = () => ({ allowed: true, id: 'test:allow' });

export interface NodeOptions {
  readonly simulator: Simulator;
  readonly source?: IdentitySource;
  readonly services?: readonly Service[];
  /** `app:port` or `app/instance:port` → where. */
  readonly fixed?: Readonly<Record<string, readonly Candidate[]>>;
  readonly forwards?: MeshDoors['forwards'];
  readonly auth?: boolean;
  readonly trust?: () => MeshTrust;
  readonly collateral?: () => IntelCollateralSource;
  readonly decide?: DecideMesh;
  readonly nowMs?: () => number;
  readonly limits?: Partial<MeshLimits>;
  readonly agentPassthrough?: readonly string[];
  readonly lifetimeMs?: number;
  readonly session?: SessionProof;
}

export interface MeshNode {
  readonly plane: MeshPlane;
  readonly records: MeshRecord[];
  readonly problems: string[];
  /** `http://127.0.0.1:port` of the way out. */
  readonly outbound: string;
  readonly outboundPort: number;
  portOf(kind: string, index?: number): number;
}

const anyPort = { host: '127.0.0.1', port: 0 } as const;

/** The agent of a simulated machine, without its socket. */
export function sourceOf(
  simulator: Simulator,
  options: { readonly nowMs?: () => number; readonly lifetimeMs?: number } = {},
): IdentitySource {
  return createAgentSource({
    name: 'simulator',
    nowMs: options.nowMs ?? Date.now,
    ...(options.lifetimeMs === undefined ? {} : { lifetimeMs: options.lifetimeMs }),
    agent: {
      getTlsKey: async (request) => {
        const { keyPem, chain } = simulator.tlsKey({ altNames: [], ...request });
        return ok({ key: new Secret(keyPem), certificateChain: chain });
      },
    },
  });
}

/** A source that always shows one pair. */
export function fixedSource(keyPem: string, chainPem: string): IdentitySource {
  return { name: 'fixed', issue: async () => createCredential(new Secret(keyPem), chainPem) };
}

export async function startNode(options: NodeOptions): Promise<MeshNode> {
  const records: MeshRecord[] = [];
  const problems: string[] = [];
  const nowMs = options.nowMs ?? Date.now;
  const collateral = options.collateral ?? (() => options.simulator.collateral());
  const opened = await openMeshPlane({
    source: options.source ?? sourceOf(options.simulator, options),
    judge: {
      trust: options.trust ?? (() => trust),
      tools: {
        crypto: nodeCrypto,
        signatures: nodeSignatureVerifier,
        cache: new VerdictCache(),
      },
      findFacts: async () => ({
        intelCollateral: openCollateral(collateral(), {
          crypto: nodeCrypto,
          pins: trust.anchors.intel,
        }),
        amdCertificates: [],
      }),
      nowMs,
      ...(options.session === undefined ? {} : { session: options.session }),
      limits: meshLimitsWith({ dialMs: 5_000, ...options.limits }),
    },
    decide: options.decide ?? allowAll,
    resolve: createResolver({
      fixed: new Map(Object.entries(options.fixed ?? {})),
      gateway: undefined,
    }),
    record: (record) => void records.push(record),
    doors: {
      outbound: [anyPort],
      auth: options.auth === true ? [anyPort] : [],
      inbound: (options.services ?? []).map((service) => ({ bind: anyPort, service })),
      forwards: options.forwards ?? [],
    },
    hosts: ['localhost', '127.0.0.1', 'vpc-server'],
    authPort: 443,
    agentPassthrough: new Set(options.agentPassthrough ?? []),
    callAgent: async (method) => ({ status: 200, body: JSON.stringify({ method }) }),
    onProblem: (problem) => void problems.push(problem),
  });
  if (!opened.ok) throw new Error(opened.error);
  const plane = opened.value;
  const portOf = (kind: string, index = 0): number =>
    plane.listeners.filter((each) => each.kind === kind)[index]?.port ?? 0;
  const outboundPort = portOf('mesh-outbound');
  return {
    plane,
    records,
    problems,
    outbound: `http://127.0.0.1:${outboundPort}`,
    outboundPort,
    portOf,
  };
}

export function at(port: number): Candidate {
  return { host: '127.0.0.1', port, serverName: undefined };
}

/** A backend that counts every byte that reaches it. */
export interface Canary {
  readonly port: number;
  readonly bytes: () => number;
  readonly connections: () => number;
  close(): Promise<void>;
}

export async function startCanary(handler?: RequestListener): Promise<Canary> {
  let bytes = 0;
  let connections = 0;
  const server: Server = createServer(
    handler ??
      ((request, response) => {
        request.resume();
        response.end('ok');
      }),
  );
  const counter: TcpServer = createTcp((socket) => {
    connections += 1;
    const { port } = addressOf(server);
    const inner = connect(port, '127.0.0.1');
    socket.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    socket.on('error', () => inner.destroy());
    inner.on('error', () => socket.destroy());
    inner.on('close', () => socket.destroy());
    socket.on('close', () => inner.destroy());
    socket.pipe(inner).pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  counter.listen(0, '127.0.0.1');
  await Promise.all([once(server, 'listening'), once(counter, 'listening')]);
  return {
    port: addressOf(counter).port,
    bytes: () => bytes,
    connections: () => connections,
    close: async () => {
      server.closeAllConnections();
      await Promise.all([
        new Promise((resolve) => server.close(resolve)),
        new Promise((resolve) => counter.close(resolve)),
      ]);
    },
  };
}

function addressOf(server: { address(): AddressInfo | string | null }): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address;
}
