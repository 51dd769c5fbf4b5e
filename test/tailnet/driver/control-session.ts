import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type ClientHttp2Stream,
} from 'node:http2';
import { request as httpRequest } from 'node:http';
import { Duplex } from 'node:stream';
import {
  type KeyPair,
  NoiseStream,
  responseBytes,
  splitEarlyPayload,
  startControlClient,
} from '../../../packages/server/src/coordination/noise/index.ts';

/** The capability version that the driver claims: that of Tailscale 1.102. */
export const capabilityVersion = 142;

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One ts2021 connection: Noise over an upgraded HTTP/1.1 request, HTTP/2 inside. */
export class ControlSession {
  /** What the server said before HTTP/2 began. */
  readonly earlyPayload: () => string | undefined;
  readonly #http2: ClientHttp2Session;

  private constructor(http2: ClientHttp2Session, earlyPayload: () => string | undefined) {
    this.#http2 = http2;
    this.earlyPayload = earlyPayload;
  }

  static async open(options: {
    readonly url: string;
    readonly machine: KeyPair;
    /** Saves the request for the control key where it is known. */
    readonly controlKey?: Uint8Array;
    readonly version?: number;
  }): Promise<ControlSession> {
    const { url, version = capabilityVersion } = options;
    const controlKey = options.controlKey ?? (await fetchControlKey(url, version));
    const noise = await openNoise({ ...options, version, controlKey });
    const below = new AfterEarlyPayload(noise);
    const http2 = connectHttp2('http://control.invalid', { createConnection: () => below });
    http2.on('error', () => undefined);
    http2.setLocalWindowSize(16 * 1024 * 1024);
    return new ControlSession(http2, () => below.payload);
  }

  get isClosed(): boolean {
    return this.#http2.closed || this.#http2.destroyed;
  }

  onClose(listener: () => void): void {
    this.#http2.once('close', listener);
  }

  /** One request with a JSON body and its whole answer. */
  async post(path: string, body: unknown): Promise<Answer> {
    const stream = this.#start(path, body);
    return new Promise((resolve, reject) => {
      let status = 0;
      const chunks: Buffer[] = [];
      stream.on('response', (headers) => (status = Number(headers[':status'])));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => resolve({ status, body: Buffer.concat(chunks).toString('utf8') }));
      stream.on('error', reject);
      stream.on('close', () => reject(new Error(`${path}: connection closed`)));
    });
  }

  /** A request whose answer goes on for ever. */
  stream(path: string, body: unknown): ClientHttp2Stream {
    return this.#start(path, body);
  }

  /** A request whose body the caller writes. */
  upload(path: string): ClientHttp2Stream {
    return this.#http2.request({ ':method': 'POST', ':path': path });
  }

  close(): void {
    this.#http2.destroy();
  }

  #start(path: string, body: unknown): ClientHttp2Stream {
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/json' };
    const stream = this.#http2.request(headers);
    stream.end(JSON.stringify(body));
    return stream;
  }
}

/** The encrypted stream below a session, before its early payload. */
export async function openNoise(options: {
  readonly url: string;
  readonly machine: KeyPair;
  readonly controlKey: Uint8Array;
  readonly version: number;
  readonly headers?: Readonly<Record<string, string>>;
}): Promise<NoiseStream> {
  const { url, machine, controlKey: control, version, headers = {} } = options;
  const started = startControlClient({ version, machine, control });
  if (!started.ok) throw new Error(`handshake: ${started.error}`);
  const { initiation, finish } = started.value;
  const [socket, head] = await upgrade(url, initiation, headers);
  const [answer, rest] = await readExactly(socket, responseBytes, head);
  const keys = finish(answer);
  if (!keys.ok) throw new Error(`handshake: ${JSON.stringify(keys.error)}`);
  const { initiatorKey: sendKey, responderKey: receiveKey } = keys.value;
  return new NoiseStream({ socket, sendKey, receiveKey, head: rest });
}

/** The control server's public key: the root of trust, fetched over the URL itself. */
export async function fetchControlKey(
  url: string,
  version: number = capabilityVersion,
): Promise<Uint8Array> {
  const response = await fetch(new URL(`/key?v=${version}`, url));
  const body = (await response.json()) as { publicKey: string };
  return new Uint8Array(Buffer.from(body.publicKey.replace('mkey:', ''), 'hex'));
}

/** Asks for the channel with any initiation; rejects with the status of a refusal. */
export function upgrade(
  url: string,
  initiation: Uint8Array,
  more: Readonly<Record<string, string>> = {},
): Promise<[Duplex, Buffer]> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(new URL('/ts2021', url), {
      method: 'POST',
      agent: false,
      headers: {
        upgrade: 'tailscale-control-protocol',
        connection: 'upgrade',
        'x-tailscale-handshake': Buffer.from(initiation).toString('base64'),
        ...more,
      },
    });
    request.once('upgrade', (_response, socket, head) => resolve([socket, head]));
    request.once('response', (response) => {
      response.resume();
      reject(new Error(`upgrade refused with ${response.statusCode}`));
    });
    request.once('error', reject);
    request.end();
  });
}

/** The first bytes of a socket, and what came behind them; the socket is left paused. */
function readExactly(socket: Duplex, length: number, head: Buffer): Promise<[Buffer, Buffer]> {
  return new Promise((resolve, reject) => {
    let bytes = head;
    const done = (): boolean => {
      if (bytes.length < length) return false;
      socket.off('data', take).off('close', fail).off('error', fail);
      socket.pause();
      resolve([bytes.subarray(0, length), bytes.subarray(length)]);
      return true;
    };
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      done();
    };
    const fail = (): void => reject(new Error('closed in the handshake'));
    if (!done()) socket.on('data', take).on('close', fail).on('error', fail);
  });
}

/** The stream below HTTP/2, with the server's early payload taken out of its beginning. */
class AfterEarlyPayload extends Duplex {
  payload: string | undefined;
  readonly #below: Duplex;
  #head: Buffer | undefined = Buffer.alloc(0);

  constructor(below: Duplex) {
    super({ allowHalfOpen: false });
    this.#below = below;
    below.on('data', (chunk: Buffer) => this.#take(chunk));
    below.on('end', () => this.push(null));
    below.on('error', (cause) => this.destroy(cause));
    below.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#below.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#below.write(chunk, () => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#below.destroy();
    done(error);
  }

  #take(chunk: Buffer): void {
    if (this.#head === undefined) {
      if (!this.push(chunk)) this.#below.pause();
      return;
    }
    this.#head = Buffer.concat([this.#head, chunk]);
    const split = splitEarlyPayload(this.#head);
    if (!split.ok) return void this.destroy(new Error(split.error));
    if ('need' in split.value) return;
    this.#head = undefined;
    this.payload = split.value.payload;
    if (split.value.rest.length > 0) this.push(split.value.rest);
  }
}
