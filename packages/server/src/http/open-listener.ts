import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import { createSecureContext, type Server as TlsServer } from 'node:tls';
import { assert, ChurnMap, err, messageOf, ok, type Result } from '@postern/core/base';
import {
  type IpSet,
  ipSetOfPrefixes,
  type Prefix,
  parsePrefixOrAddr,
} from '@postern/core/base/netip';
import { Admission } from './admission.ts';
import { portOwner } from './busy-port.ts';
import {
  type Connection,
  closeIfSilent,
  cutConnection,
  lingerAtEnd,
  peerOf,
} from './connection.ts';
import type { ConnectionEvidence, Peer } from './exchange.ts';
import { FastFront } from './fast/index.ts';
import type { HeadRules } from './head.ts';
import { canonicalHost } from './host.ts';
import { normalHeaderName } from './identity-headers.ts';
import { type HttpLimits, limitsWith } from './limits.ts';
import type { Bind, Listener, ListenerOptions, ListenProblem, OpenListener } from './listener.ts';
import { rememberPeer } from './live-peers.ts';
import { Roll, type Rolled } from './roll.ts';
import { NodeFront } from './node-front.ts';
import { rawAnswer } from './refusal-answer.ts';
import { tellRefused } from './turn.ts';
import { listenUnix, type Unlink } from './unix-socket.ts';

const tlsVersionMin = 'TLSv1.3';

/** Opens a listener: the one way in. */
export const openListener: OpenListener = async (options) => {
  const trusted = trustedSet(options.trustedProxies);
  const server = makeServer(options.bind, limitsWith(options.limits ?? {}));
  if (!server.ok) return server;
  const listener = new NodeListener(options, trusted, server.value);
  const problem = await listener.open();
  return problem === undefined ? ok(listener) : err(problem);
};

function trustedSet(texts: readonly string[]): IpSet {
  const prefixes: Prefix[] = [];
  for (const text of texts) {
    const prefix = parsePrefixOrAddr(text);
    // The configuration was validated before it came here.
    assert(prefix.ok, `trusted proxy ${text} is an address or a prefix`);
    prefixes.push(prefix.value);
  }
  return ipSetOfPrefixes(prefixes);
}

function makeServer(bind: Bind, limits: HttpLimits): Result<Server, ListenProblem> {
  const http = {
    maxHeaderSize: limits.headBytesMax,
    headersTimeout: limits.headMs,
    // Bodies have their own timers, which know progress.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: limits.checkMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: limits.probeMs,
    insecureHTTPParser: false,
    requireHostHeader: false,
    joinDuplicateHeaders: false,
  };
  if (bind.kind !== 'tls') return ok(configured(createServer(http)));
  const tls = {
    cert: bind.certificatePem,
    key: bind.keyPem,
    minVersion: tlsVersionMin,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: limits.handshakeMs,
  } as const;
  try {
    return ok(configured(createTlsServer({ ...http, ...tls })));
  } catch (cause) {
    return err({ kind: 'other', message: `the certificate cannot be used: ${messageOf(cause)}` });
  }
}

function configured(server: Server): Server {
  // Headers beyond node's own limit would be dropped in silence; the number is judged with the head instead.
  server.maxHeadersCount = 0;
  return server;
}

class NodeListener implements Listener {
  readonly kind: Listener['kind'];
  readonly #options: ListenerOptions;
  readonly #limits: HttpLimits;
  readonly #server: Server;
  readonly #admission: Admission;
  readonly #front: NodeFront;
  readonly #fast: FastFront;
  readonly #sockets = new Roll<Rolled & { readonly socket: Socket }>();
  /** Evidence of TLS connections between accept and the end of their handshake, by their ends. */
  readonly #handshakes = new ChurnMap<ConnectionEvidence>();
  #unlink: Unlink | undefined;
  #port: number | undefined;
  #draining = false;

  constructor(options: ListenerOptions, trusted: IpSet, server: Server) {
    this.kind = options.kind;
    this.#options = options;
    this.#limits = limitsWith(options.limits ?? {});
    this.#server = server;
    this.#admission = new Admission(this.#limits, trusted, options.onlyTrustedProxies);
    const context = { options, limits: this.#limits, draining: () => this.#draining };
    const rules = headRules(options, trusted, this.#limits);
    this.#front = new NodeFront(context, rules);
    this.#fast = new FastFront(context, rules);
    this.#front.attach(server);
    this.#wire();
  }

  get port(): number | undefined {
    return this.#port;
  }

  get address(): string {
    const { bind } = this.#options;
    if (bind.kind === 'unix') return bind.path;
    const own = bind.fd === undefined ? null : this.#server.address();
    if (isAddressInfo(own))
      return own.family === 'IPv6' ? `[${own.address}]:${own.port}` : `${own.address}:${own.port}`;
    return isIPv6(bind.host) ? `[${bind.host}]:${this.#port}` : `${bind.host}:${this.#port}`;
  }

  get connections(): number {
    return this.#admission.open;
  }

  renewCertificate(certificatePem: string, keyPem: string): void {
    assert(this.#options.bind.kind === 'tls', 'only a TLS listener has a certificate');
    const pair = { cert: certificatePem, key: keyPem, minVersion: tlsVersionMin } as const;
    createSecureContext(pair);
    asTls(this.#server).setSecureContext(pair);
  }

  async open(): Promise<ListenProblem | undefined> {
    const { bind } = this.#options;
    if (bind.kind === 'unix') {
      const opened = await listenUnix(this.#server, bind.path, bind.mode);
      if (!opened.ok) return opened.error;
      this.#unlink = opened.value;
      return undefined;
    }
    const problem = await listenTcp(this.#server, bind);
    if (problem !== undefined) return problem;
    const address = this.#server.address();
    this.#port = isAddressInfo(address) ? address.port : undefined;
    return undefined;
  }

  async close(graceMs: number): Promise<void> {
    this.#draining = true;
    await this.#unlink?.();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    this.#fast.closeResting();
    // node:http takes a connection that never sent a byte for a busy one.
    this.#sockets.each(({ socket }) => {
      if (socket.bytesRead === 0) socket.destroy();
    });
    const cut = setTimeout(() => {
      // A plain end would complete an answer that is delimited by it (HTTP/1.0).
      this.#sockets.each(({ socket }) => cutConnection(socket));
    }, graceMs);
    await closed;
    clearTimeout(cut);
  }

  /**
   * Stands between accept and node:http. The short way takes the socket here, and hands it on, with the bytes that it
   * has read, to `passOn` where a request is not of the usual shape.
   */
  #wire(): void {
    const server = this.#server;
    server.on('error', () => undefined);
    if (this.#options.bind.kind === 'tls') {
      const toTls = takeListener(server, 'connection');
      server.on('connection', (socket: Socket) => this.#acceptTls(socket, toTls));
      const passOn = takeListener(server, 'secureConnection');
      server.on('secureConnection', (socket: Socket) => this.#secured(socket, passOn));
      server.on('tlsClientError', (_cause: Error, socket: Socket) => socket.destroy());
      return;
    }
    const passOn = takeListener(server, 'connection');
    server.on('connection', (socket: Socket) => this.#acceptPlain(socket, passOn));
  }

  #acceptPlain(socket: Socket, passOn: PassOn): void {
    const peer = peerOf(socket, this.#options.bind.kind === 'unix' ? 'unix' : 'tcp');
    if (!this.#admit(socket, peer)) return;
    const evidence = this.#options.inspect?.(peer);
    this.#enter(socket, peer, evidence, passOn);
  }

  #acceptTls(socket: Socket, toTls: PassOn): void {
    const peer = peerOf(socket, 'tls');
    if (!this.#admit(socket, peer)) return;
    const evidence = this.#options.inspect?.(peer);
    if (evidence !== undefined) {
      const key = endsOf(peer);
      this.#handshakes.set(key, evidence);
      socket.once('close', () => this.#handshakes.delete(key));
    }
    toTls(socket);
  }

  #secured(socket: Socket, passOn: PassOn): void {
    const peer = peerOf(socket, 'tls');
    this.#enter(socket, peer, this.#handshakes.get(endsOf(peer)), passOn);
  }

  #admit(socket: Socket, peer: Peer): boolean {
    const entered = { socket, place: -1 };
    this.#sockets.add(entered);
    socket.on('close', () => this.#sockets.delete(entered));
    // A client that reset its connection before we looked has no address any more.
    const nameless = peer.transport !== 'unix' && peer.address === undefined;
    const isUnwelcome = nameless || this.#options.turnsAway?.(peer) === true;
    const why = isUnwelcome ? 'not-a-trusted-proxy' : this.#admission.admit(socket);
    if (why === undefined) return true;
    socket.on('error', () => undefined);
    if (why === 'not-a-trusted-proxy' || peer.transport === 'tls') {
      socket.destroy();
      return false;
    }
    const fault = { code: 'overloaded', message: 'too many connections are open' } as const;
    const { newRequestId, nowMs } = this.#options;
    const id = newRequestId();
    tellRefused(this.#options, { fault, id, peer, message: undefined });
    socket.end(rawAnswer(fault, id, nowMs()), () => socket.destroy());
    return false;
  }

  #enter(
    socket: Socket,
    peer: Peer,
    evidence: ConnectionEvidence | undefined,
    passOn: PassOn,
  ): void {
    const connection: Connection = {
      socket,
      peer,
      evidence,
      closing: false,
      taken: 0,
      waiting: [],
      active: undefined,
    };
    rememberPeer(peer, socket);
    lingerAtEnd(socket, this.#limits);
    closeIfSilent(socket, this.#limits);
    const toNode = (): void => {
      this.#front.adopt(connection);
      passOn(socket);
    };
    if (this.#options.reader === 'node') toNode();
    else this.#fast.adopt(connection, toNode);
  }
}

type PassOn = (socket: Duplex) => void;

/** Node's own listener of an event, taken off, to be called once we have looked at the socket. */
function takeListener(server: Server, event: 'connection' | 'secureConnection'): PassOn {
  const [own, ...others] = server.listeners(event);
  assert(own !== undefined && others.length === 0, `node:http has one listener for ${event}`);
  server.removeAllListeners(event);
  return (socket) => {
    Reflect.apply(own, server, [socket]);
  };
}

function headRules(options: ListenerOptions, trusted: IpSet, limits: HttpLimits): HeadRules {
  const { hosts } = options;
  return {
    limits,
    hosts: hosts === undefined ? undefined : new Set(hosts.map(canonicalHost)),
    believed: new Set(options.believedHeaders.map(normalHeaderName)),
    trustedProxies: trusted,
    encodedSlashUnder: options.encodedSlashUnder ?? [],
    upgrades: options.upgrade !== undefined,
  };
}

function listenTcp(
  server: Server,
  { host, port, fd }: Exclude<Bind, { kind: 'unix' }>,
): Promise<ListenProblem | undefined> {
  return new Promise((resolve) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      void problemOf(cause, host, port).then(resolve);
    };
    server.once('error', onError);
    const where = fd === undefined ? { host, port, ipv6Only: isIPv6(host) } : { fd };
    server.listen({ ...where, exclusive: true }, () => {
      server.off('error', onError);
      resolve(undefined);
    });
  });
}

async function problemOf(
  cause: NodeJS.ErrnoException,
  host: string,
  port: number,
): Promise<ListenProblem> {
  const where = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
  const { code } = cause;
  if (code === 'EADDRINUSE') {
    const owner = (await portOwner(port)) ?? 'another process';
    return { kind: 'busy', message: `${where} is in use by ${owner}` };
  }
  if (code === 'EAFNOSUPPORT' || (code === 'EADDRNOTAVAIL' && !hasFamily(host))) {
    return { kind: 'no-such-family', message: familyMessage(host, where) };
  }
  if (code === 'EADDRNOTAVAIL') {
    return { kind: 'other', message: `${where}: this machine does not have the address ${host}` };
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return { kind: 'denied', message: `${where}: no right to open this port` };
  }
  return { kind: 'other', message: `${where}: ${cause.message}` };
}

function familyMessage(host: string, where: string): string {
  return `${where}: this machine has no ${isIPv6(host) ? 'IPv6' : 'IPv4'}`;
}

function hasFamily(host: string): boolean {
  const family = isIPv6(host) ? 'IPv6' : 'IPv4';
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.some((one) => one.family === family);
}

function endsOf(peer: Peer): string {
  return `${peer.address} ${peer.port} ${peer.localAddress} ${peer.localPort}`;
}

function isAddressInfo(address: AddressInfo | string | null): address is AddressInfo {
  return address !== null && typeof address === 'object';
}

function asTls(server: Server): TlsServer {
  // https.Server extends tls.Server; its type in node:http does not say so.
  return server as unknown as TlsServer;
}
