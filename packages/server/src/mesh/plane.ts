import { once } from 'node:events';
import type { Agent } from 'node:http';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';
import { err, ok, type Result } from '@postern/core/base';
import type { OwnAnswer } from './answer.ts';
import { Assertions } from './assertion.ts';
import { createAuth } from './auth.ts';
import { MeshClient } from './client.ts';
import { MeshCounters } from './counters.ts';
import type { Judge } from './judge.ts';
import { KnownPeers } from './known-peers.ts';
import { createInbound, type Service } from './inbound.ts';
import { OpenPeers, type OpenPeer } from './open-peers.ts';
import { type AgentCall, createForward, createOutbound, type MeshDoor } from './outbound.ts';
import { OwnIdentity } from './own-identity.ts';
import { refusalText } from './peer.ts';
import type { PeerIdentity } from './peer-identity.ts';
import type {
  DecideMesh,
  IdentitySource,
  MeshAddress,
  RecordMesh,
  ResolveTarget,
} from './ports.ts';
import { probeSelf } from './self.ts';
import type { BeginMeshSpan } from './spans.ts';

export interface MeshBind {
  readonly host: string;
  readonly port: number;
}

/** What is served where. */
export interface MeshDoors {
  readonly outbound: readonly MeshBind[];
  readonly auth: readonly MeshBind[];
  readonly inbound: readonly { readonly bind: MeshBind; readonly service: Service }[];
  readonly forwards: readonly { readonly bind: MeshBind; readonly address: MeshAddress }[];
}

export interface MeshPlaneOptions {
  readonly source: IdentitySource;
  readonly judge: Judge;
  readonly decide: DecideMesh;
  readonly resolve: ResolveTarget;
  readonly record: RecordMesh;
  readonly doors: MeshDoors;
  /** Names that `Host` may have at the local doors. */
  readonly hosts: readonly string[];
  /** The port of the service behind nginx, where nginx does not say it. */
  readonly authPort: number;
  readonly agentPassthrough: ReadonlySet<string>;
  readonly callAgent?: AgentCall;
  readonly onProblem: (message: string) => void;
  readonly beginSpan?: BeginMeshSpan;
}

export interface MeshListener {
  readonly kind: 'mesh-outbound' | 'mesh-auth' | 'mesh-inbound' | 'mesh-forward';
  readonly address: string;
  readonly port: number;
  readonly connections: () => Promise<number>;
}

export interface MeshFacts {
  readonly identity: OwnIdentity['facts'];
  readonly listeners: readonly MeshListener[];
  readonly counters: MeshCounters;
  /** Connections with judged peers now. */
  readonly open: Readonly<Record<OpenPeer['edge'], number>>;
  readonly ejected: readonly string[];
  readonly cut: number;
}

/** Connections to one app, each of whose peers was judged. */
export interface PeerWay {
  readonly agent: Agent;
  peerOf(socket: Socket | null): PeerIdentity | undefined;
}

/** The mesh of one process, running. */
export interface MeshPlane {
  readonly listeners: readonly MeshListener[];
  facts(): MeshFacts;
  peers(): readonly OpenPeer[];
  jwks(): ReturnType<Assertions['jwks']>;
  /** The app that an assertion of this mesh names for one of its services. */
  appOf(assertion: string, port: number): string | undefined;
  /** For calls of this process itself to an app. */
  wayTo(address: MeshAddress): PeerWay;
  /** Calls ourselves by a way that leads to apps, to see whether it is really we who answer there. */
  probe(way: Parameters<typeof probeSelf>[2]): Promise<Result<void, string>>;
  /** A new certificate now. */
  renew(): Promise<void>;
  /** Looks at once whether somebody is revoked whose connection is open. */
  sweep(): void;
  /** Opens another forward while it runs. */
  forward(bind: MeshBind, address: MeshAddress): Promise<Result<MeshListener, string>>;
  /** Accepts no more; cuts what is still open after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Gets a certificate, then opens every door, or none: without an identity nothing listens. */
export async function openMeshPlane(options: MeshPlaneOptions): Promise<Result<MeshPlane, string>> {
  const { source, onProblem } = options;
  const judge: Judge = { known: new KnownPeers(), ...options.judge };
  const identity = await OwnIdentity.open({
    source,
    nowMs: judge.nowMs,
    onProblem: (message) => onProblem(`the certificate was not renewed: ${message}`),
  });
  if (!identity.ok) return err(`no certificate: ${identity.error}`);
  const plane = new RunningMesh({ ...options, judge }, identity.value);
  const problem = await plane.open();
  if (problem === undefined) return ok(plane);
  await plane.close(0);
  return err(problem);
}

class RunningMesh implements MeshPlane {
  readonly #options: MeshPlaneOptions;
  readonly #identity: OwnIdentity;
  readonly #open = new OpenPeers();
  readonly #counters = new MeshCounters();
  readonly #assertions: Assertions;
  readonly #client: MeshClient;
  readonly #doors: MeshDoor[] = [];
  readonly #listeners: MeshListener[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MeshPlaneOptions, identity: OwnIdentity) {
    this.#options = options;
    this.#identity = identity;
    const { judge, resolve, record } = options;
    this.#assertions = new Assertions({ nowMs: judge.nowMs, issuer: 'postern-mesh' });
    this.#client = new MeshClient({
      judge,
      identity,
      resolve,
      open: this.#open,
      onRefused: (address, problem) => {
        const code = problem.kind === 'refused' ? problem.refusal[0]?.code : problem.kind;
        this.#counters.refuse(code ?? 'other');
        const why = problem.kind === 'refused' ? refusalText(problem.refusal) : problem.message;
        record({
          edge: 'outbound',
          atMs: judge.nowMs(),
          outcome: 'refused',
          why: `${address.appId}: ${why}`,
          code,
          peer: undefined,
          port: address.port,
          method: undefined,
          path: undefined,
          remote: undefined,
        });
      },
    });
    this.#timer = setInterval(() => this.sweep(), judge.limits.sweepMs).unref();
  }

  get listeners(): readonly MeshListener[] {
    return this.#listeners;
  }

  async open(): Promise<string | undefined> {
    const { doors } = this.#options;
    for (const bind of doors.outbound) {
      // oxlint-disable-next-line no-await-in-loop -- a few doors, in order
      const problem = await this.#listen('mesh-outbound', this.#outbound(), bind);
      if (problem !== undefined) return problem;
    }
    for (const bind of doors.auth) {
      // oxlint-disable-next-line no-await-in-loop -- a few doors, in order
      const problem = await this.#listen('mesh-auth', this.#auth(), bind);
      if (problem !== undefined) return problem;
    }
    for (const { bind, service } of doors.inbound) {
      // oxlint-disable-next-line no-await-in-loop -- a few doors, in order
      const problem = await this.#listen('mesh-inbound', this.#inbound(service), bind);
      if (problem !== undefined) return problem;
    }
    for (const { bind, address } of doors.forwards) {
      // oxlint-disable-next-line no-await-in-loop -- a few doors, in order
      const opened = await this.forward(bind, address);
      if (!opened.ok) return opened.error;
    }
    return undefined;
  }

  async forward(bind: MeshBind, address: MeshAddress): Promise<Result<MeshListener, string>> {
    const { judge, onProblem } = this.#options;
    const door = createForward({
      client: this.#client,
      address,
      limits: judge.limits,
      counters: this.#counters,
      onProblem: ({ message }: OwnAnswer) => onProblem(`forward to ${address.appId}: ${message}`),
    });
    const problem = await this.#listen('mesh-forward', door, bind);
    const listener = this.#listeners.at(-1);
    if (problem !== undefined || listener === undefined) return err(problem ?? 'not listening');
    return ok(listener);
  }

  facts(): MeshFacts {
    return {
      identity: this.#identity.facts,
      listeners: this.#listeners,
      counters: this.#counters,
      open: this.#open.counts(),
      ejected: this.#client.ejected(),
      cut: this.#open.cut,
    };
  }

  peers(): readonly OpenPeer[] {
    return this.#open.list();
  }

  jwks(): ReturnType<Assertions['jwks']> {
    return this.#assertions.jwks();
  }

  appOf(assertion: string, port: number): string | undefined {
    return this.#assertions.appOf(assertion, port);
  }

  wayTo(address: MeshAddress): PeerWay {
    return {
      agent: this.#client.agentFor(address),
      peerOf: (socket) => (socket === null ? undefined : this.#open.peerOf(socket)),
    };
  }

  probe(way: Parameters<typeof probeSelf>[2]): Promise<Result<void, string>> {
    return probeSelf(this.#options.judge, this.#identity, way);
  }

  renew(): Promise<void> {
    return this.#identity.renew();
  }

  sweep(): void {
    this.#open.sweep(this.#options.judge.trust().revoked);
  }

  async close(graceMs: number): Promise<void> {
    clearInterval(this.#timer);
    this.#identity.close();
    const closed = this.#doors.map(
      ({ server }) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const door of this.#doors) door.drain();
    const cut = (): void => {
      this.#open.close('inbound');
      this.#open.close('outbound');
      this.#client.close();
      for (const end of this.#ends) end();
    };
    const timer = setTimeout(cut, graceMs);
    if (graceMs === 0) cut();
    await Promise.all(closed);
    clearTimeout(timer);
    cut();
  }

  /** Destroys the local connections of a door. */
  readonly #ends = new Set<() => void>();

  #outbound(): MeshDoor {
    const { judge, hosts, agentPassthrough, callAgent, beginSpan } = this.#options;
    return createOutbound({
      client: this.#client,
      limits: judge.limits,
      hosts,
      counters: this.#counters,
      isHealthy: () => this.#identity.current() !== undefined,
      agentPassthrough,
      ...(callAgent === undefined ? {} : { callAgent }),
      ...(beginSpan === undefined ? {} : { beginSpan }),
    });
  }

  #auth(): MeshDoor {
    const { judge, decide, record, hosts, authPort } = this.#options;
    return createAuth({
      judge,
      decide,
      assertions: this.#assertions,
      record,
      counters: this.#counters,
      hosts,
      port: authPort,
    });
  }

  #inbound(service: Service): MeshDoor {
    const { judge, decide, record, beginSpan } = this.#options;
    return createInbound({
      ...(beginSpan === undefined ? {} : { beginSpan }),
      service,
      judge,
      identity: this.#identity,
      decide,
      assertions: this.#assertions,
      open: this.#open,
      record,
      counters: this.#counters,
    });
  }

  async #listen(
    kind: MeshListener['kind'],
    door: MeshDoor,
    { host, port }: MeshBind,
  ): Promise<string | undefined> {
    const { server } = door;
    server.on('connection', (socket) => {
      const end = (): void => {
        socket.destroy();
      };
      this.#ends.add(end);
      socket.once('close', () => this.#ends.delete(end));
    });
    try {
      server.listen({ host, port, exclusive: true, ipv6Only: host.includes(':') });
      await once(server, 'listening');
    } catch (cause) {
      server.close();
      return `${kind} ${host}:${port}: ${cause instanceof Error ? cause.message : 'cannot listen'}`;
    }
    server.on('error', () => undefined);
    this.#doors.push(door);
    const address = server.address();
    const at = isAddressInfo(address) ? address.port : port;
    this.#listeners.push({
      kind,
      address: isIPv6(host) ? `[${host}]:${at}` : `${host}:${at}`,
      port: at,
      connections: () =>
        new Promise((resolve) => server.getConnections((_cause, count) => resolve(count ?? 0))),
    });
    return undefined;
  }
}

function isAddressInfo(address: AddressInfo | string | null): address is AddressInfo {
  return address !== null && typeof address === 'object';
}
