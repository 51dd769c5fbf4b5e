import { randomBytes } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import {
  type SessionBinding,
  sessionExporterBytes,
  sessionExporterLabel,
  sessionNonceBytes,
  sessionReportData,
} from '@postern/core/attest';
import { parseCertificate } from '@postern/core/attest/x509';
import { err, ok, type Result } from '@postern/core/base';
import { judgeChallenge } from './evidence.ts';
import type { Judge, SessionProof } from './judge.ts';
import type { PeerFinding, PeerIdentity, PeerRefusal } from './peer-identity.ts';

/** Before the names of protocols (RFC 7301), for sessions that begin with a proof. Negotiated inside TLS: nobody strips it. */
export const sessionProtocolPrefix = 'postern-session-1/';

/** Evidence of dstack is 10 KB, of Nitro 5; event logs may be longer. */
export const sessionEvidenceBytesMax = 262_144;
const frame = { nonce: 1, evidence: 2, accepted: 3 } as const;
const headBytes = 5;

type Proven = Result<PeerIdentity, PeerRefusal>;

/** A session whose handshake is over and whose certificate was judged. */
export interface Session {
  readonly socket: TLSSocket;
  /** What we are in it. */
  readonly role: 'client' | 'server';
  readonly peer: PeerIdentity;
  /** The peer's certificate in DER. It is handed in because Node gives it out of a session once. */
  readonly leaf: Uint8Array;
}

/**
 * After the handshake, before a byte of a request: both ends send a nonce, then evidence over the exporter of this very TLS
 * session, both keys and the other's nonce, then that they accepted the other's. Evidence that another machine made, or that
 * was made for another session, does not fit. Nothing of what follows is read from the socket.
 */
export async function proveSession(
  judge: Judge,
  proof: SessionProof,
  { socket, role, peer, leaf }: Session,
): Promise<Proven> {
  const raw = socket.getX509Certificate()?.raw;
  const own = spkiOf(raw === undefined ? undefined : new Uint8Array(raw));
  const other = spkiOf(leaf);
  if (own === undefined || other === undefined) {
    return refused('certificate_missing', 'no two keys to bind evidence to');
  }
  const exporter = new Uint8Array(
    socket.exportKeyingMaterial(sessionExporterBytes, sessionExporterLabel, Buffer.alloc(0)),
  );
  const ownNonce = new Uint8Array(randomBytes(sessionNonceBytes));
  void send(socket, frame.nonce, ownNonce);
  const peerNonce = await receive(socket, frame.nonce, sessionNonceBytes);
  if (peerNonce?.length !== sessionNonceBytes) return refused('session_unproven', 'no nonce came');
  const ours: SessionBinding = { role, exporter, ownSpki: own, peerSpki: other, peerNonce };
  const ending = new AbortController();
  socket.once('close', () => ending.abort());
  const [made, shown] = await Promise.all([
    proof.prove(sessionReportData(ours, judge.tools.crypto), ending.signal).then((evidence) => {
      if (evidence.ok) void send(socket, frame.evidence, evidence.value);
      else socket.destroy();
      return evidence;
    }),
    receive(socket, frame.evidence, sessionEvidenceBytesMax),
  ]);
  if (!made.ok) return refused('session_unproven', `our own evidence: ${made.error}`);
  if (shown === undefined) return refused('session_unproven', 'no evidence came');
  const theirs: SessionBinding = {
    role: role === 'client' ? 'server' : 'client',
    exporter,
    ownSpki: other,
    peerSpki: own,
    peerNonce: ownNonce,
  };
  const judged = await judgeEvidence(judge, shown, theirs, peer);
  if (!judged.ok) return judged;
  const [accepted] = await Promise.all([
    receive(socket, frame.accepted, 0),
    // Whoever gets the socket must find no write of ours in it: node:http2 ends the process over one.
    send(socket, frame.accepted, new Uint8Array()),
  ]);
  return accepted === undefined
    ? refused('session_unproven', 'the peer did not accept us')
    : judged;
}

/** Whether evidence is of the machine that the certificate is of, made for this session. */
async function judgeEvidence(
  judge: Judge,
  evidence: Uint8Array,
  binding: SessionBinding,
  peer: PeerIdentity,
): Promise<Proven> {
  const reportData = sessionReportData(binding, judge.tools.crypto);
  const judged = await judgeChallenge(judge, evidence, reportData);
  if (!judged.ok) return judged;
  const { appId, instanceId, deviceId, composeHash, platform, tcbStatus, expiresAtMs } =
    judged.value;
  const against: PeerFinding[] = [];
  const same = (what: 'app' | 'instance' | 'device', is?: string, was?: string): void => {
    if (was === undefined || is?.toLowerCase() === was.toLowerCase()) return;
    against.push({ code: 'session_of_another', detail: `${what} ${is ?? 'none'}, not ${was}` });
  };
  same('app', appId, peer.appId);
  same('instance', instanceId, peer.instanceId);
  same('device', deviceId, peer.deviceId);
  if (against.length > 0) return err(against);
  return ok({
    ...peer,
    deviceId: deviceId ?? peer.deviceId,
    composeHash: composeHash ?? peer.composeHash,
    platform: platform ?? peer.platform,
    tcbStatus: tcbStatus ?? peer.tcbStatus,
    expiresAtMs: Math.min(expiresAtMs, peer.expiresAtMs),
    sessionBound: true,
  });
}

function spkiOf(certificate: Uint8Array | undefined): Uint8Array | undefined {
  const parsed = certificate === undefined ? undefined : parseCertificate(certificate);
  return parsed?.ok === true ? parsed.value.spki : undefined;
}

/** Resolves when the bytes are written, or never will be. */
function send(socket: TLSSocket, type: number, payload: Uint8Array): Promise<void> {
  const head = Buffer.alloc(headBytes);
  head.writeUInt8(type, 0);
  head.writeUInt32BE(payload.length, 1);
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    socket.write(Buffer.concat([head, payload]), () => resolve());
  });
}

/** The payload of the next frame; undefined where another one comes, a longer one, or none any more. */
async function receive(
  socket: TLSSocket,
  type: number,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  const head = await exactly(socket, headBytes);
  if (head === undefined || head.readUInt8(0) !== type) return undefined;
  const length = head.readUInt32BE(1);
  if (length > bytesMax) return undefined;
  if (length === 0) return new Uint8Array();
  const payload = await exactly(socket, length);
  return payload === undefined ? undefined : new Uint8Array(payload);
}

/** As many bytes and not one more, however they arrive: what follows them is for somebody else. */
function exactly(socket: TLSSocket, bytes: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const end = (piece: Buffer | undefined): void => {
      socket.off('readable', look);
      socket.off('close', gone);
      socket.off('end', gone);
      resolve(piece);
    };
    const gone = (): void => end(undefined);
    const look = (): void => {
      const piece: unknown = socket.read(bytes);
      if (piece === null) return;
      // Fewer come only at the end of the stream.
      end(Buffer.isBuffer(piece) && piece.length === bytes ? piece : undefined);
    };
    if (socket.destroyed) return resolve(undefined);
    socket.on('readable', look);
    socket.once('close', gone);
    socket.once('end', gone);
    look();
  });
}

function refused(code: PeerFinding['code'], detail: string): Result<never, PeerRefusal> {
  return err([{ code, detail }]);
}

/** What a door offers in the handshake for one protocol. */
export function protocolsOf(protocol: string, proof: SessionProof | undefined): readonly string[] {
  const plain = protocol === 'tcp' ? [] : [protocol];
  if (proof === undefined) return plain;
  const bound = `${sessionProtocolPrefix}${protocol}`;
  return proof.mode === 'required' ? [bound] : [bound, ...plain];
}

/** Whether the two agreed on a proof, and whether what they agreed on is enough. */
export function agreedOn(
  alpn: string | false | null,
  protocol: string,
  proof: SessionProof | undefined,
): 'session' | 'plain' | undefined {
  if (alpn === `${sessionProtocolPrefix}${protocol}`) {
    return proof === undefined ? undefined : 'session';
  }
  if (proof?.mode === 'required') return undefined;
  // Without ALPN a peer speaks HTTP/1.1, or bytes; nobody speaks h2 by accident.
  const isPlain = alpn === protocol || (alpn === false && protocol !== 'h2');
  return isPlain ? 'plain' : undefined;
}
