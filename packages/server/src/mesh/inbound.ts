import { Agent, type Server as HttpServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Server, TLSSocket } from 'node:tls';
import { err, ok, type Result } from '@postern/core/base';
import { type OwnAnswer, sendOwn, sendOwnRaw } from './answer.ts';
import type { Assertions } from './assertion.ts';
import type { MeshCounters } from './counters.ts';
import { appIdField, assertionField, requestFields } from './fields.ts';
import { type FastDoor, FastLane, WirePool } from './fast/index.ts';
import { createFront, type FrontRequest, headRules } from './front.ts';
import { createGate, type Protocol } from './handshake.ts';
import type { Judge } from './judge.ts';
import { Http2Sessions, relayHttp2 } from './http2.ts';
import type { OpenPeers } from './open-peers.ts';
import type { MeshDoor } from './outbound.ts';
import type { OwnIdentity } from './own-identity.ts';
import { policyName, refusalText } from './peer.ts';
import type { PeerIdentity } from './peer-identity.ts';
import type { DecideMesh, MeshAnswer, MeshRecord, RecordMesh } from './ports.ts';
import { errorOf, relay, type RelayPlan } from './relay.ts';
import { RepeatBudget } from './repeat-budget.ts';
import { type BeginMeshSpan, type MeshSpan, tracedFields } from './spans.ts';
import { relaySwitch } from './switch.ts';
import { keepTunnelAlive, splice } from './tunnel.ts';

/** Where a service of ours is, behind the mesh: loopback or a unix socket, nothing else. */
export type Backend =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** One service that peers may be let through to. */
export interface Service {
  /** The port by which peers and policy know it, whatever port we listen on. */
  readonly port: number;
  readonly protocol: 'http' | 'h2c' | 'tcp';
  readonly backend: Backend;
}

export interface InboundOptions {
  readonly service: Service;
  readonly judge: Judge;
  readonly identity: OwnIdentity;
  readonly decide: DecideMesh;
  readonly assertions: Assertions;
  readonly open: OpenPeers;
  readonly record: RecordMesh;
  readonly counters: MeshCounters;
  readonly beginSpan?: BeginMeshSpan;
}

/** A door for peers: mTLS, then the policy, then the backend. Resolves nothing and listens nowhere by itself. */
export function createInbound(options: InboundOptions): MeshDoor {
  const inbound = new Inbound(options);
  return { server: inbound.gate(), drain: () => inbound.drain() };
}

/** What the policy is asked about a head. */
interface Asked {
  readonly method: string;
  readonly path: string;
  readonly traceparent: string | undefined;
}

/** Backends on uvicorn close idle connections after 5 s: be first. */
const backendKeepMs = 4_000;
const expired: MeshAnswer = { allowed: false, id: 'mesh/expired', reason: 'expired' };

const protocols: Readonly<Record<Service['protocol'], Protocol>> = {
  http: 'http/1.1',
  h2c: 'h2',
  tcp: 'tcp',
};

class Inbound {
  readonly #options: InboundOptions;
  readonly #agent: Agent;
  readonly #budget: RepeatBudget;
  readonly #wires: WirePool;
  readonly #lane: FastLane<Asked>;
  readonly #front: HttpServer;
  readonly #lines = new WeakMap<
    PeerIdentity,
    { readonly assertion: string; readonly lines: string }
  >();

  constructor(options: InboundOptions) {
    this.#options = options;
    const { limits } = options.judge;
    this.#budget = new RepeatBudget();
    this.#agent = new Agent({
      keepAlive: true,
      timeout: backendKeepMs,
      maxSockets: limits.connectionsMax,
      maxFreeSockets: limits.idlePerTargetMax,
      scheduling: 'lifo',
    });
    this.#wires = backendWires(options);
    this.#lane = new FastLane(this.#shortWay(), () => [this.#wires]);
    this.#front = this.#longWay();
  }

  drain(): void {
    this.#lane.close();
    this.#front.closeIdleConnections();
  }

  /** Requests of the usual shape about which the policy decides at once. */
  #shortWay(): FastDoor<Asked> {
    const { judge, counters, open } = this.#options;
    const { limits } = judge;
    return {
      limits,
      rules: headRules(limits, undefined),
      prepare: ({ method, path, headers }) => ({
        method,
        path,
        traceparent: headers.get('traceparent'),
      }),
      admit: ({ method, path, traceparent }, socket) => {
        const peer = open.peerOf(socket);
        if (peer === undefined || this.#wires.isFull) return undefined;
        const answer = this.#ask(peer, method, path);
        if (answer instanceof Promise) return undefined;
        this.#note(peer, answer, { method, path, remote: socket.remoteAddress });
        if (!answer.allowed) return deniedAnswer(answer);
        counters.inboundRequests += 1;
        const fields = this.#ownLines(peer);
        if (this.#options.beginSpan === undefined) return { pool: this.#wires, fields };
        return { pool: this.#wires, fields, span: this.#span(peer, method, traceparent) };
      },
      handOver: (socket, bytes) => {
        socket.unshift(bytes);
        this.#front.emit('connection', socket);
        // Only now does what was put back flow again, into the other parser.
        socket.resume();
      },
      mayRepeat: () => this.#budget.spend(),
      settled: () => this.#budget.earn(),
      failed: () => undefined,
    };
  }

  #longWay(): HttpServer {
    return createFront({
      limits: this.#options.judge.limits,
      hosts: undefined,
      onRequest: (request, response) => {
        void this.#serve(request, response);
      },
      onUpgrade: (request, socket, early) => {
        void this.#switch(request, socket, early);
      },
    });
  }

  gate(): Server {
    const { service, judge, identity, open, record, counters } = this.#options;
    const protocol = protocols[service.protocol];
    const { nowMs } = judge;
    const server = createGate({
      judge,
      protocol,
      onPeer: (socket, peer) => {
        counters.inboundPeers += 1;
        open.add(socket, { edge: 'inbound', peer, port: service.port, sinceMs: nowMs() });
        if (service.protocol === 'tcp') void this.#tunnel(socket, peer);
        else if (service.protocol === 'h2c') this.#serveHttp2(socket, peer);
        else this.#lane.adopt(socket);
      },
      onRefused: (refusal, remote) => {
        counters.inboundRefused += 1;
        const why = refusalText(refusal);
        const code = refusal[0]?.code;
        counters.refuse(code ?? 'other');
        record({ ...this.#blank(undefined, remote), outcome: 'refused', why, code });
      },
    });
    identity.follow(server);
    server.once('close', () => {
      this.#agent.destroy();
      this.#wires.close();
      this.#front.closeAllConnections();
    });
    return server;
  }

  async #serve(
    { message, head }: FrontRequest,
    response: Parameters<typeof sendOwn>[0],
  ): Promise<void> {
    const { service, judge } = this.#options;
    const peer = this.#peerOf(message.socket);
    if (peer === undefined) {
      message.socket.destroy();
      return;
    }
    const answer = await this.#decide(peer, head.method, head.path, message.socket.remoteAddress);
    if (!answer.allowed) {
      message.resume();
      sendOwn(response, deniedAnswer(answer));
      return;
    }
    this.#options.counters.inboundRequests += 1;
    const span = this.#span(peer, head.method, head.headers.get('traceparent'));
    const end = await relay(message, response, {
      agent: this.#agent,
      place: placeOf(service),
      method: head.method,
      target: message.url ?? '/',
      fields: tracedFields(this.#fieldsFor(peer, message.rawHeaders), span),
      expectsContinue: head.expectsContinue,
      mayRepeat: () => this.#budget.spend(),
      limits: judge.limits,
    });
    this.#budget.earn();
    span?.end(end.status, errorOf(end));
  }

  async #switch(
    { message, head }: FrontRequest,
    socket: Parameters<typeof sendOwnRaw>[0],
    early: Buffer,
  ): Promise<void> {
    const { service, judge, counters } = this.#options;
    const peer = this.#peerOf(message.socket);
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    const answer = await this.#decide(peer, head.method, head.path, message.socket.remoteAddress);
    if (!answer.allowed) {
      sendOwnRaw(socket, deniedAnswer(answer));
      return;
    }
    counters.inboundRequests += 1;
    keepTunnelAlive(message.socket);
    const span = this.#span(peer, head.method, head.headers.get('traceparent'));
    const { status } = await relaySwitch(socket, early, {
      agent: this.#agent,
      place: placeOf(service),
      method: head.method,
      target: message.url ?? '/',
      fields: tracedFields(this.#fieldsFor(peer, message.rawHeaders), span),
      protocol: message.headers.upgrade ?? '',
      limits: judge.limits,
    });
    span?.end(status, undefined);
  }

  #serveHttp2(socket: TLSSocket, peer: PeerIdentity): void {
    const { service, judge, counters } = this.#options;
    void relayHttp2(socket, {
      limits: judge.limits,
      hosts: undefined,
      sessions: new Http2Sessions(judge.limits),
      endsSessions: true,
      admit: async ({ method, path, headers }) => {
        const answer = await this.#decide(peer, method, path, socket.remoteAddress);
        if (!answer.allowed) return err(deniedAnswer(answer));
        counters.inboundRequests += 1;
        const span = this.#span(peer, method, headers.get('traceparent'));
        const trace = span === undefined ? {} : { traceparent: span.traceparent };
        return ok({
          fields: { ...this.#ownFields(peer), ...trace },
          span,
          key: '',
          open: async () => ok(connect(placeOfSocket(service))),
        });
      },
    });
  }

  /** Raw bytes: one decision for the connection; a grant that speaks of methods or paths does not open it. */
  async #tunnel(socket: TLSSocket, peer: PeerIdentity): Promise<void> {
    const { service, judge, counters } = this.#options;
    const answer = await this.#decide(peer, undefined, undefined, socket.remoteAddress);
    if (!answer.allowed) {
      socket.destroy();
      return;
    }
    const backend = connect({ ...placeOfSocket(service), allowHalfOpen: true });
    const timer = setTimeout(() => backend.destroy(), judge.limits.dialMs).unref();
    backend.once('error', () => socket.destroy());
    backend.once('connect', () => {
      clearTimeout(timer);
      counters.tunnels += 1;
      keepTunnelAlive(backend);
      keepTunnelAlive(socket);
      void splice(socket, backend);
    });
  }

  async #decide(
    peer: PeerIdentity,
    method: string | undefined,
    path: string | undefined,
    remote: string | undefined,
  ): Promise<MeshAnswer> {
    const answer = await this.#ask(peer, method, path);
    this.#note(peer, answer, { method, path, remote });
    return answer;
  }

  #ask(
    peer: PeerIdentity,
    method: string | undefined,
    path: string | undefined,
  ): MeshAnswer | Promise<MeshAnswer> {
    const { service, decide, judge } = this.#options;
    // Kept connections outlive what they were judged by; a request does not.
    return judge.nowMs() >= peer.expiresAtMs
      ? expired
      : decide({ peer, port: service.port, method, path });
  }

  #note(
    peer: PeerIdentity,
    answer: MeshAnswer,
    { method, path, remote }: Pick<MeshRecord, 'method' | 'path' | 'remote'>,
  ): void {
    const { record, counters, service, judge } = this.#options;
    if (!answer.allowed) counters.inboundDenied += 1;
    record({
      edge: 'inbound',
      atMs: judge.nowMs(),
      peer,
      port: service.port,
      outcome: answer.allowed ? 'allowed' : 'denied',
      why: answer.id,
      code: answer.allowed ? undefined : answer.reason,
      method,
      path,
      remote,
    });
  }

  #peerOf(socket: Socket): PeerIdentity | undefined {
    return this.#options.open.peerOf(socket);
  }

  #fieldsFor(peer: PeerIdentity, raw: readonly string[]): readonly string[] {
    return [...requestFields(raw), ...Object.entries(this.#ownFields(peer)).flat()];
  }

  /** Who is calling, as the mesh knows it. Set after everything that the caller wrote of this kind was removed. */
  #ownFields(peer: PeerIdentity): Readonly<Record<string, string>> {
    const { assertions, service } = this.#options;
    return {
      ...(peer.appId === undefined ? {} : { [appIdField]: peer.appId }),
      [assertionField]: assertions.about(peer, service.port),
    };
  }

  #span(peer: PeerIdentity, method: string, traceparent: string | undefined): MeshSpan | undefined {
    const { beginSpan, service } = this.#options;
    const { port } = service;
    return beginSpan?.({ edge: 'inbound', method, app: policyName(peer), port, traceparent });
  }

  /** The same as lines, made anew with each new assertion. */
  #ownLines(peer: PeerIdentity): string {
    const { assertions, service } = this.#options;
    const assertion = assertions.about(peer, service.port);
    const known = this.#lines.get(peer);
    if (known?.assertion === assertion) return known.lines;
    let lines = '';
    for (const [name, value] of Object.entries(this.#ownFields(peer))) {
      lines += `${name}: ${value}\r\n`;
    }
    this.#lines.set(peer, { assertion, lines });
    return lines;
  }

  #blank(
    peer: PeerIdentity | undefined,
    remote: string | undefined,
  ): Omit<MeshRecord, 'outcome' | 'why' | 'code'> {
    const { service, judge } = this.#options;
    return {
      edge: 'inbound',
      atMs: judge.nowMs(),
      peer,
      port: service.port,
      method: undefined,
      path: undefined,
      remote,
    };
  }
}

/** Kept connections to the program behind the door. */
function backendWires({ service, judge: { limits } }: InboundOptions): WirePool {
  const dial = (): Promise<Result<Socket, OwnAnswer>> =>
    new Promise((resolve) => {
      const socket = connect({ ...placeOfSocket(service), noDelay: true });
      const fail = (why: string): void => {
        const message = `The other end failed: ${why}.`;
        resolve(err({ code: 'upstream_error', message }));
      };
      const late = setTimeout(() => socket.destroy(), limits.dialMs).unref();
      const failed = (cause: NodeJS.ErrnoException): void => fail(cause.code ?? cause.message);
      const closed = (): void => fail('ETIMEDOUT');
      socket.once('error', failed).once('close', closed);
      socket.once('connect', () => {
        clearTimeout(late);
        socket.off('error', failed).off('close', closed);
        resolve(ok(socket));
      });
    });
  return new WirePool(
    { dial, isUsable: () => true },
    {
      connectionsMax: limits.connectionsMax,
      idleMax: limits.idlePerTargetMax,
      keepMs: backendKeepMs,
      requestsMax: limits.requestsPerConnectionMax,
      headersMax: limits.headersMax * 2,
    },
  );
}

function deniedAnswer(answer: MeshAnswer & { readonly allowed: false }): OwnAnswer {
  const isExpired = answer.reason === 'expired';
  return isExpired
    ? {
        code: 'credential_expired',
        message: 'The certificate of this connection has ended: connect again.',
      }
    : {
        code: 'access_denied',
        message: `No grant of postern.dev/cap/mesh allows this (${answer.reason}; ${answer.id}).`,
      };
}

function placeOf({ backend }: Service): RelayPlan['place'] {
  return backend.kind === 'unix'
    ? { socketPath: backend.path }
    : { host: backend.host, port: backend.port };
}

function placeOfSocket({ backend }: Service): { path: string } | { host: string; port: number } {
  return backend.kind === 'unix'
    ? { path: backend.path }
    : { host: backend.host, port: backend.port };
}
