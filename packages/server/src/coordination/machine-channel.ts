import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import http2 from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { fromBase64 } from '@postern/core/base';
import type { HttpRequest } from '../http/index.ts';
import { machineKeyText } from './control-key.ts';
import { HandshakeLimit } from './handshake-limit.ts';
import { coordinationLimits } from './limits.ts';
import type { KeyPair } from './noise/index.ts';
import { acceptControlClient, earlyPayload, generateKeyPair, NoiseStream } from './noise/index.ts';

/** A machine that proved its key, and one request of it. */
export interface MachineCall {
  readonly machineKey: string;
  /** The address that it comes from. */
  readonly source: string;
  /** The capability version of its handshake. */
  readonly version: number;
  readonly method: string;
  readonly path: string;
  readonly stream: ServerHttp2Stream;
}

export interface ChannelOptions {
  readonly control: KeyPair;
  readonly nowMs: () => number;
  readonly serve: (call: MachineCall) => Promise<void>;
  /** Whether a machine was let in once. */
  readonly isKnown: (machineKey: string) => boolean;
  readonly onFault: (fault: unknown) => void;
}

const protocolName = 'tailscale-control-protocol';
const handshakeHeader = 'x-tailscale-handshake';

/** Turns upgraded connections into HTTP/2 over Noise. Keeps no state but the open sessions. */
export class MachineChannels {
  readonly #options: ChannelOptions;
  readonly #limit = new HandshakeLimit();
  readonly #sessions = new Map<ServerHttp2Session, NoiseStream>();
  /** Those of machines that were not known when they came, oldest first. */
  readonly #strangers = new Map<NoiseStream, string>();
  /** One challenge a process: clients only keep it. */
  readonly #challenge = generateKeyPair();

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  get open(): number {
    return this.#sessions.size;
  }

  accept(request: HttpRequest, socket: Duplex, head: Uint8Array): void {
    socket.on('error', () => socket.destroy());
    // The listener calls for requests with Upgrade only; to what is decided by the path.
    if (request.method !== 'POST') {
      return refuse(socket, 400, 'this is the control channel of machines');
    }
    if (!this.#limit.take(request.clientAddress, this.#options.nowMs())) {
      return refuse(socket, 429, 'too many handshakes from this address', 'Retry-After: 10\r\n');
    }
    const initiation = fromBase64(request.headers.get(handshakeHeader) ?? '');
    const accepted =
      initiation === undefined ? undefined : acceptControlClient(this.#options.control, initiation);
    const answered = accepted?.ok === true ? accepted.value.answer() : undefined;
    if (accepted?.ok !== true || answered?.ok !== true) {
      return refuse(socket, 400, 'the handshake is not one for this server');
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ${protocolName}\r\n\r\n`,
    );
    socket.write(answered.value.response);
    const { keys } = answered.value;
    const stream = new NoiseStream({
      socket,
      sendKey: keys.responderKey,
      receiveKey: keys.initiatorKey,
      head,
    });
    const { machine, version } = accepted.value;
    stream.write(
      earlyPayload({
        nodeKeyChallenge: `chalpub:${machineKeyText(this.#challenge.publicKey).slice(5)}`,
      }),
    );
    if (socket instanceof Socket) tune(socket);
    const source = request.clientAddress ?? '';
    this.#serve(stream, { machineKey: machineKeyText(machine), source, version });
  }

  closeAll(): void {
    for (const stream of this.#sessions.values()) stream.destroy();
  }

  /** Whoever has no place here yet holds a connection only as long as there is room. */
  #admitStranger(stream: NoiseStream, machineKey: string): void {
    const { isKnown } = this.#options;
    if (isKnown(machineKey)) return;
    this.#strangers.set(stream, machineKey);
    stream.on('close', () => this.#strangers.delete(stream));
    for (const [oldest, key] of this.#strangers) {
      if (this.#strangers.size <= coordinationLimits.strangersMax) return;
      this.#strangers.delete(oldest);
      // It may have been let in since.
      if (!isKnown(key)) oldest.destroy();
    }
  }

  #serve(stream: NoiseStream, who: Pick<MachineCall, 'machineKey' | 'source' | 'version'>): void {
    this.#admitStranger(stream, who.machineKey);
    const session = http2.performServerHandshake(stream, {
      maxSessionMemory: coordinationLimits.sessionMbMax,
      settings: {
        maxConcurrentStreams: coordinationLimits.streamsPerConnectionMax,
        initialWindowSize: coordinationLimits.windowBytes,
        enablePush: false,
      },
    });
    survivesBusyWrite(session.socket);
    this.#sessions.set(session, stream);
    stream.on('error', () => stream.destroy());
    session.on('error', () => stream.destroy());
    session.on('close', () => {
      this.#sessions.delete(session);
      stream.destroy();
    });
    // A session with an open map is never idle: keepalives go through it.
    session.setTimeout(coordinationLimits.idleMsMax, () => session.close());
    session.on('stream', (request, headers) => {
      request.on('error', () => request.destroy());
      const call: MachineCall = {
        ...who,
        method: headers[':method'] ?? 'GET',
        path: headers[':path'] ?? '/',
        stream: request,
      };
      this.#options.serve(call).catch((fault: unknown) => {
        this.#options.onFault(fault);
        if (!request.destroyed) request.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
      });
    });
  }
}

/** `UV_ECANCELED`: the write did not happen. */
const writeCanceled = -125;

/**
 * node:http2 asserts that a stream in JavaScript writes one thing at a time, and breaks its own rule when it takes a
 * session down while a write is under way: it sends resets into it. Such a write counts as not done; without this a
 * client that leaves at the wrong moment would end the process.
 */
function survivesBusyWrite(socket: object): void {
  const doWrite: unknown = Reflect.get(socket, 'doWrite');
  if (typeof doWrite !== 'function') return;
  Reflect.set(socket, 'doWrite', (...write: readonly unknown[]): unknown => {
    try {
      return Reflect.apply(doWrite, undefined, write);
    } catch {
      return writeCanceled;
    }
  });
}

function tune(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  socket.setTimeout(0);
}

function refuse(socket: Duplex, status: number, why: string, headers = ''): void {
  const text = `${why}\n`;
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: text/plain\r\n${headers}Content-Length: ${text.length}\r\n\r\n${text}`,
  );
}
