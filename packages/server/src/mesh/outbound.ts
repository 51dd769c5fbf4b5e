import type { Server, ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { err, ok } from '@postern/core/base';
import type { JudgedHead } from '../http/head.ts';
import { type OwnAnswer, answerOfProblem, sendOwn, sendOwnRaw } from './answer.ts';
import { type MeshClient, poolKey } from './client.ts';
import type { MeshCounters } from './counters.ts';
import { requestFields } from './fields.ts';
import { type FastDoor, FastLane } from './fast/index.ts';
import { createFront, type FrontRequest, headRules } from './front.ts';
import { Http2Sessions, relayHttp2 } from './http2.ts';
import type { MeshLimits } from './limits.ts';
import type { MeshAddress } from './ports.ts';
import { errorOf, relay } from './relay.ts';
import { RepeatBudget } from './repeat-budget.ts';
import { type BeginMeshSpan, type MeshSpanStart, tracedFields } from './spans.ts';
import { relaySwitch } from './switch.ts';
import { readTarget, targetFields } from './target.ts';
import { keepTunnelAlive, splice } from './tunnel.ts';

/** Calls of the guest agent that a local workload may make through the proxy: a method and its JSON. */
export type AgentCall = (
  method: string,
  body: Uint8Array,
) => Promise<{ readonly status: number; readonly body: string }>;

export interface OutboundOptions {
  readonly client: MeshClient;
  readonly limits: MeshLimits;
  /** Names that `Host` may have: whoever is called, they are what local programs call us. */
  readonly hosts: readonly string[];
  readonly counters: MeshCounters;
  /** What `/health` says beside `ok`; false answers 503. */
  readonly isHealthy: () => boolean;
  /** Methods of the guest agent that unrouted requests may reach; empty by default. */
  readonly agentPassthrough: ReadonlySet<string>;
  readonly callAgent?: AgentCall;
  readonly beginSpan?: BeginMeshSpan;
}

const http2Preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const agentBodyBytesMax = 65_536;

/** One listener of the mesh, and how it stops: what waits for a request goes at once, what is being answered may end. */
export interface MeshDoor {
  readonly server: TcpServer;
  drain(): void;
}

/** The door for local programs: names a target in its fields, gets its answers. Plain HTTP/1.1 and h2c on one port. */
export function createOutbound(options: OutboundOptions): MeshDoor {
  const outbound = new Outbound(options);
  return { server: outbound.listener(), drain: () => outbound.drain() };
}

/** What a head says about its target, worked out once. */
interface Target {
  readonly address: MeshAddress;
  readonly key: string;
  readonly span: MeshSpanStart;
}

class Outbound {
  readonly #options: OutboundOptions;
  readonly #front: Server;
  readonly #sessions: Http2Sessions;
  readonly #budget = new RepeatBudget();
  readonly #lane: FastLane<Target>;

  constructor(options: OutboundOptions) {
    this.#options = options;
    this.#sessions = new Http2Sessions(options.limits);
    this.#front = createFront({
      limits: options.limits,
      hosts: options.hosts,
      onRequest: (request, response) => {
        void this.#serve(request, response);
      },
      onUpgrade: (request, socket, early) => this.#switch(request, socket, early),
    });
    this.#lane = new FastLane(this.#shortWay(), () => options.client.wirePools());
  }

  drain(): void {
    this.#lane.close();
    this.#front.closeIdleConnections();
  }

  /** Requests of the usual shape that name a target. */
  #shortWay(): FastDoor<Target> {
    const { client, limits, hosts, counters, beginSpan } = this.#options;
    return {
      limits,
      rules: headRules(limits, hosts),
      prepare: (head, raw) => {
        const target = readTarget(raw);
        if (!target.ok || target.value === undefined) return undefined;
        const address = target.value;
        return { address, key: poolKey(address), span: spanStart(head, address) };
      },
      admit: ({ address, key, span }) => {
        const pool = client.wiresFor(key, address);
        // node:http has queues; this way has none.
        if (pool.isFull) return undefined;
        counters.outboundRequests += 1;
        return beginSpan === undefined
          ? { pool, fields: '' }
          : { pool, fields: '', span: beginSpan(span) };
      },
      handOver: (socket, bytes) => this.#sniff(socket, bytes),
      mayRepeat: () => this.#budget.spend(),
      settled: () => this.#budget.earn(),
      failed: ({ code }) => {
        if (code === 'egress_refused') counters.outboundRefused += 1;
      },
    };
  }

  listener(): TcpServer {
    const server = createTcpServer({ noDelay: true, keepAlive: true }, (socket) => {
      this.#lane.adopt(socket);
    });
    server.maxConnections = this.#options.limits.connectionsMax;
    server.once('close', () => {
      this.#sessions.close();
      this.#front.closeAllConnections();
    });
    return server;
  }

  /** An HTTP/2 client says so with its first bytes (RFC 9113 section 3.4), which no HTTP/1.1 request begins with. */
  #sniff(socket: Socket, bytes: Buffer): void {
    const length = Math.min(bytes.length, http2Preface.length);
    const isPreface = bytes.subarray(0, length).equals(http2Preface.subarray(0, length));
    socket.on('error', () => undefined);
    if (!isPreface || length === http2Preface.length) {
      socket.unshift(bytes);
      if (isPreface) {
        // It takes what was put back itself, once it is there.
        void this.#serveHttp2(socket);
        return;
      }
      this.#front.emit('connection', socket);
      // Only now does what was put back flow again, into the other parser.
      socket.resume();
      return;
    }
    const silent = setTimeout(() => socket.destroy(), 10_000).unref();
    const more = (piece: Buffer): void => {
      clearTimeout(silent);
      socket.pause();
      socket.off('data', more);
      this.#sniff(socket, Buffer.concat([bytes, piece]));
    };
    socket.on('data', more);
    socket.once('close', () => clearTimeout(silent));
    socket.resume();
  }

  async #serve({ message, head }: FrontRequest, response: ServerResponse): Promise<void> {
    const { client, limits, counters } = this.#options;
    const target = readTarget(message.rawHeaders);
    if (!target.ok) {
      message.resume();
      sendOwn(response, { code: 'invalid_request', message: `${target.error}.` });
      return;
    }
    if (target.value === undefined) {
      await this.#unrouted({ message, head }, response);
      return;
    }
    counters.outboundRequests += 1;
    const span = this.#options.beginSpan?.(spanStart(head, target.value));
    const end = await relay(message, response, {
      agent: client.agentFor(target.value),
      place: peerPlace(target.value),
      method: head.method,
      target: message.url ?? '/',
      fields: tracedFields(requestFields(message.rawHeaders), span),
      expectsContinue: head.expectsContinue,
      mayRepeat: () => this.#budget.spend(),
      limits,
    });
    this.#budget.earn();
    span?.end(end.status, errorOf(end));
    if (end.own?.code === 'egress_refused') counters.outboundRefused += 1;
  }

  #switch({ message, head }: FrontRequest, socket: Duplex, early: Buffer): void {
    const { client, limits, counters } = this.#options;
    const target = readTarget(message.rawHeaders);
    if (!target.ok || target.value === undefined) {
      const why = target.ok ? `${targetFields.app} is missing` : target.error;
      sendOwnRaw(socket, { code: 'invalid_request', message: `${why}.` });
      return;
    }
    counters.outboundRequests += 1;
    keepTunnelAlive(message.socket);
    const span = this.#options.beginSpan?.(spanStart(head, target.value));
    void relaySwitch(socket, early, {
      agent: client.agentFor(target.value),
      place: peerPlace(target.value),
      method: head.method,
      target: message.url ?? '/',
      fields: tracedFields(requestFields(message.rawHeaders), span),
      protocol: message.headers.upgrade ?? '',
      limits,
    }).then(({ status }) => span?.end(status, undefined));
  }

  async #serveHttp2(socket: Socket): Promise<void> {
    const { client, limits, hosts, counters } = this.#options;
    await relayHttp2(socket, {
      limits,
      hosts,
      sessions: this.#sessions,
      endsSessions: false,
      admit: async (head, raw) => {
        const target = readTarget(raw);
        if (!target.ok || target.value === undefined) {
          const why = target.ok ? `${targetFields.app} is missing` : target.error;
          return err({ code: 'invalid_request', message: `${why}.` });
        }
        const address = target.value;
        counters.outboundRequests += 1;
        const span = this.#options.beginSpan?.(spanStart(head, address));
        return ok({
          fields: span === undefined ? {} : { traceparent: span.traceparent },
          span,
          key: poolKey(address),
          open: async () => {
            const dialed = await client.dial(address, 'h2');
            return dialed.ok ? ok(dialed.value.socket) : err(answerOfProblem(dialed.error));
          },
        });
      },
    });
  }

  /** What names no target is for ourselves: health, the agent's allowed methods, and nothing else. */
  async #unrouted({ message, head }: FrontRequest, response: ServerResponse): Promise<void> {
    const { isHealthy, agentPassthrough, callAgent } = this.#options;
    if (head.path === '/health' && (head.method === 'GET' || head.method === 'HEAD')) {
      message.resume();
      const isUp = isHealthy();
      response.writeHead(isUp ? 200 : 503, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ status: isUp ? 'ok' : 'no identity' }));
      return;
    }
    const method = agentMethod(head.path);
    if (method === undefined || !agentPassthrough.has(method) || callAgent === undefined) {
      message.resume();
      sendOwn(response, unroutedAnswer);
      return;
    }
    const body = await readSmall(message);
    if (body === undefined) {
      sendOwn(response, { code: 'body_too_large', message: 'The agent takes no such body.' });
      return;
    }
    const query = Object.fromEntries(new URLSearchParams(head.query));
    const asked = body.length > 0 ? body : Buffer.from(JSON.stringify(query));
    const answer = await callAgent(method, asked);
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(answer.body);
  }
}

function spanStart({ method, headers }: JudgedHead, { appId, port }: MeshAddress): MeshSpanStart {
  const traceparent = headers.get('traceparent');
  return { edge: 'outbound', method, app: appId, port, traceparent };
}

const unroutedAnswer: OwnAnswer = {
  code: 'invalid_request',
  message: `This is the mesh's way out: name the app in ${targetFields.app}, its port in ${targetFields.port}.`,
};

/** `/info`, `/Info` and `/get_quote` as the original took them: the last segment in PascalCase. */
function agentMethod(path: string): string | undefined {
  const match = /^\/([A-Za-z]+(?:_[A-Za-z]+)*)$/.exec(path);
  return match?.[1]
    ?.split('_')
    .map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`)
    .join('');
}

async function readSmall(message: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of message) {
    bytes += piece.length;
    if (bytes > agentBodyBytesMax) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Only a name for node:http: the agent of a target connects where its peer is. */
function peerPlace({ appId, port }: MeshAddress): { host: string; port: number } {
  return { host: `${appId}.invalid`, port };
}

export interface ForwardOptions {
  readonly client: MeshClient;
  readonly address: MeshAddress;
  readonly limits: MeshLimits;
  readonly counters: MeshCounters;
  readonly onProblem: (answer: OwnAnswer) => void;
}

/** A local port that leads to one port of one app: any protocol over TCP, also those in which the server speaks first. */
export function createForward(options: ForwardOptions): MeshDoor {
  const { client, address, limits, counters, onProblem } = options;
  const join = async (socket: Socket): Promise<void> => {
    const dialed = await client.dial(address, 'tcp');
    if (!dialed.ok) {
      onProblem(answerOfProblem(dialed.error));
      socket.destroy();
      return;
    }
    counters.tunnels += 1;
    keepTunnelAlive(socket);
    keepTunnelAlive(dialed.value.socket);
    await splice(socket, dialed.value.socket);
  };
  const server = createTcpServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    void join(socket);
  });
  server.maxConnections = limits.connectionsMax;
  return { server, drain: () => undefined };
}
