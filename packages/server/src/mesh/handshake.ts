import { constants, type X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import {
  type ConnectionOptions,
  connect,
  createServer,
  type Server,
  type TLSSocket,
} from 'node:tls';
import { err, ok, type Result, toHex } from '@postern/core/base';
import type { Judge, SessionProof } from './judge.ts';
import { judgePeer, type PeerTarget, targetFindings } from './peer.ts';
import type { PeerIdentity, PeerRefusal } from './peer-identity.ts';
import type { Candidate, MeshCredential } from './ports.ts';
import { agreedOn, proveSession, protocolsOf } from './session-proof.ts';
import { revokedBy } from './revoked.ts';

/** Protocols of a connection (RFC 7301). Raw TCP names none. */
export type Protocol = 'http/1.1' | 'h2' | 'tcp';

/**
 * TLS 1.3 alone, and no tickets: a resumed session would carry no certificate, so nobody could be judged. OpenSSL's
 * own verification is off in both directions because ours takes its place: it knows evidence, profiles and revocation.
 */
const shared = {
  minVersion: 'TLSv1.3',
  rejectUnauthorized: false,
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;

/** Who is at the other end of a finished handshake. Nothing may be read or written before the answer. */
export async function judgeSocket(
  judge: Judge,
  socket: TLSSocket,
  role: 'server' | 'client',
  leaf: X509Certificate | undefined,
  target?: PeerTarget,
): Promise<Result<PeerIdentity, PeerRefusal>> {
  const refused = protocolRefusal(socket);
  if (refused !== undefined) return err(refused);
  if (leaf === undefined) return err([{ code: 'certificate_missing', detail: '' }]);
  const chain = (): readonly Uint8Array[] => chainOf(leaf, judge.limits.chainCertificatesMax);
  return judgeOnce(judge, { hash: leaf.fingerprint256, chain, role }, target);
}

function alpnOf(protocol: Protocol, proof: SessionProof | undefined): { ALPNProtocols?: string[] } {
  const names = protocolsOf(protocol, proof);
  return names.length === 0 ? {} : { ALPNProtocols: [...names] };
}

/** The certificate, then, where both ends agreed on it, evidence for this session. */
async function judgeWhole(
  judge: Judge,
  socket: TLSSocket,
  protocol: Protocol,
  target?: PeerTarget,
): Promise<Result<PeerIdentity, PeerRefusal>> {
  const agreed = agreedOn(socket.alpnProtocol, protocol, judge.session);
  // Whoever dials names whom it means; a door learns who comes.
  const role = target === undefined ? 'server' : 'client';
  // Node gives it out of a session once: later calls find the chain without it.
  const leaf = socket.getPeerX509Certificate();
  const other = role === 'client' ? 'server' : 'client';
  const judged = await judgeSocket(judge, socket, other, leaf, target);
  if (!judged.ok) return judged;
  if (agreed === undefined) {
    return err([
      { code: 'session_unproven', detail: `agreed on ${socket.alpnProtocol || 'nothing'}` },
    ]);
  }
  const { session } = judge;
  if (agreed === 'plain' || session === undefined || leaf === undefined) return judged;
  const shown = new Uint8Array(leaf.raw);
  return proveSession(judge, session, { socket, role, peer: judged.value, leaf: shown });
}

interface Shown {
  readonly hash: string;
  readonly chain: () => readonly Uint8Array[];
  readonly role: 'server' | 'client';
}

async function judgeOnce(
  judge: Judge,
  { hash, chain, role }: Shown,
  target: PeerTarget | undefined,
): Promise<Result<PeerIdentity, PeerRefusal>> {
  const trust = judge.trust();
  const name = `${role} ${hash}`;
  const before = judge.known?.get(name, trust, judge.nowMs());
  if (before === undefined) {
    const judged = await judgeAnew(judge, chain(), role, target);
    if (judged.ok) judge.known?.put(name, trust, judged.value);
    return judged;
  }
  const against = [
    ...revokedBy(trust.revoked, before),
    ...(target === undefined ? [] : targetFindings(before, target)),
  ];
  return against.length > 0 ? err(against) : ok(before);
}

/** The same for certificates that somebody else saw. */
export async function judgeChain(
  judge: Judge,
  chain: readonly Uint8Array[],
  role: 'server' | 'client',
  target?: PeerTarget,
): Promise<Result<PeerIdentity, PeerRefusal>> {
  const [leaf] = chain;
  if (leaf === undefined) return err([{ code: 'certificate_missing', detail: '' }]);
  const hash = toHex(judge.tools.crypto.sha256(leaf));
  return judgeOnce(judge, { hash, chain: () => chain, role }, target);
}

async function judgeAnew(
  { trust, tools, findFacts, nowMs }: Judge,
  chain: readonly Uint8Array[],
  role: 'server' | 'client',
  target: PeerTarget | undefined,
): Promise<Result<PeerIdentity, PeerRefusal>> {
  const [leaf] = chain;
  if (leaf === undefined) return err([{ code: 'certificate_missing', detail: '' }]);
  const facts = await findFacts(leaf);
  const question = { chain, role, nowMs: nowMs(), trust: trust(), facts };
  return judgePeer(target === undefined ? question : { ...question, target }, tools);
}

function protocolRefusal(socket: TLSSocket): PeerRefusal | undefined {
  if (socket.isSessionReused()) {
    return [{ code: 'identity_refused', detail: 'a resumed session proves nobody' }];
  }
  return socket.getProtocol() === 'TLSv1.3'
    ? undefined
    : [{ code: 'identity_refused', detail: 'not TLS 1.3' }];
}

/** The certificates that the peer sent, in order, as far as each names the next as its issuer. */
function chainOf(leaf: X509Certificate, most: number): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let each: X509Certificate | undefined = leaf;
  let before: X509Certificate | undefined;
  while (each !== undefined && each !== before && chain.length < most) {
    chain.push(new Uint8Array(each.raw));
    before = each;
    each = each.issuerCertificate;
  }
  return chain;
}

export interface DialQuestion {
  readonly candidate: Candidate;
  readonly target: PeerTarget;
  readonly protocol: Protocol;
  readonly credential: MeshCredential;
}

/** A connection whose peer was judged. */
export interface JudgedSocket {
  readonly socket: TLSSocket;
  readonly peer: PeerIdentity;
}

export type DialProblem =
  | { readonly kind: 'unreachable'; readonly message: string }
  /** Somebody is there, and is not whom was asked for. */
  | { readonly kind: 'refused'; readonly refusal: PeerRefusal };

/**
 * Connects to a candidate and judges who answers. The socket is handed out only afterwards, with nothing written to it:
 * a peer that is somebody else gets no byte of any request.
 */
export async function dialPeer(
  judge: Judge,
  { candidate, target, protocol, credential }: DialQuestion,
): Promise<Result<JudgedSocket, DialProblem>> {
  const { host, port, serverName } = candidate;
  // `allowHalfOpen` is documented for tls.connect; its type does not have it.
  const options: ConnectionOptions & { readonly allowHalfOpen: boolean } = {
    ...shared,
    host,
    port,
    secureContext: credential.context,
    checkServerIdentity: () => undefined,
    allowHalfOpen: protocol === 'tcp',
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...alpnOf(protocol, judge.session),
  };
  const socket = connect(options);
  socket.setNoDelay(true);
  const handshake = await handshakeOf(socket, judge.limits.dialMs);
  if (handshake !== undefined) {
    socket.destroy();
    return err({ kind: 'unreachable', message: handshake });
  }
  const judged = await bounded(judgeWhole(judge, socket, protocol, target), judge.limits.dialMs);
  if (judged?.ok === true && !socket.destroyed) return ok({ socket, peer: judged.value });
  socket.destroy();
  if (judged === undefined) return err({ kind: 'unreachable', message: 'judging took too long' });
  if (judged.ok) return err({ kind: 'unreachable', message: 'closed while it was judged' });
  return err({ kind: 'refused', refusal: judged.error });
}

function handshakeOf(socket: TLSSocket, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('no handshake in time'), timeoutMs);
    const end = (problem: string | undefined): void => {
      clearTimeout(timer);
      resolve(problem);
    };
    socket.once('secureConnect', () => end(undefined));
    // Stays for good: an error that nobody hears would end the process.
    socket.on('error', (cause: NodeJS.ErrnoException) => end(cause.code ?? cause.message));
    socket.once('close', () => end('closed in the handshake'));
  });
}

async function bounded<T>(promise: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs);
  });
  const first = await Promise.race([promise, late]);
  clearTimeout(timer);
  return first;
}

export interface GateOptions {
  readonly judge: Judge;
  readonly protocol: Protocol;
  /** Called once for each peer that is who it says. Only now may the socket be read. */
  readonly onPeer: (socket: TLSSocket, peer: PeerIdentity) => void;
  readonly onRefused: (refusal: PeerRefusal, remote: string | undefined) => void;
}

/**
 * A TLS server that asks for a certificate and hands out no connection before its peer was judged. Its own certificate is
 * put in by `OwnIdentity.follow`.
 */
export function createGate(options: GateOptions): Server {
  const { judge, protocol, onPeer, onRefused } = options;
  const server = createServer({
    ...shared,
    requestCert: true,
    handshakeTimeout: judge.limits.handshakeMs,
    allowHalfOpen: protocol === 'tcp',
    ...alpnOf(protocol, judge.session),
  });
  server.maxConnections = judge.limits.connectionsMax;
  server.on('tlsClientError', (_cause: Error, socket: Duplex) => socket.destroy());
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => undefined);
    void admit(socket);
  });
  const admit = async (socket: TLSSocket): Promise<void> => {
    const remote = socket.remoteAddress;
    const judged = await bounded(
      judgeWhole(judge, socket, protocol).catch(() => undefined),
      judge.limits.handshakeMs,
    );
    if (socket.destroyed) return;
    if (judged?.ok === true) {
      socket.setNoDelay(true);
      onPeer(socket, judged.value);
      return;
    }
    socket.destroy();
    const silent: PeerRefusal = [{ code: 'identity_refused', detail: 'could not be judged' }];
    onRefused(judged?.ok === false ? judged.error : silent, remote);
  };
  return server;
}
