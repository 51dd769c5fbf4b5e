import type { ServerResponse } from 'node:http';
import { assert } from '@postern/core/base';
import { cutConnection } from './connection.ts';
import type { HttpReply, HttpStream, ResponseHeaders } from './exchange.ts';
import type { HeaderLines } from './header-lines.ts';
import { pairsOf } from './header-lines.ts';
import type { HttpLimits } from './limits.ts';

/** One large piece is written in parts, so that the limit on waiting bytes means bytes nobody takes. */
const pieceBytesMax = 262_144;
const statusWithoutBody: ReadonlySet<number> = new Set([204, 304]);

/** The answer to one request over node:http. */
export class NodeReply implements HttpReply {
  readonly #response: ServerResponse;
  readonly #limits: HttpLimits;
  readonly #closes: () => boolean;
  /** The id under which this answer is found again: OpenAI's clients read the first name, Anthropic's the second. */
  readonly #identity: ResponseHeaders;
  #added: ResponseHeaders = {};
  #started = false;
  #status = 0;
  #bytes = 0;
  #abandoned = false;

  /** `closes` says at the start of the answer whether the connection ends with it. */
  constructor(
    response: ServerResponse,
    options: {
      readonly limits: HttpLimits;
      readonly requestId: string;
      readonly closes: () => boolean;
    },
  ) {
    const { limits, requestId, closes } = options;
    this.#response = response;
    this.#identity = { 'x-request-id': requestId, 'request-id': requestId };
    this.#limits = limits;
    this.#closes = closes;
  }

  get started(): boolean {
    return this.#started;
  }

  get sent(): { readonly status: number; readonly bytes: number } {
    return { status: this.#status, bytes: this.#bytes };
  }

  add(lines: HeaderLines): void {
    this.#added = Object.fromEntries(pairsOf(lines));
  }

  /** Another answer was written on the connection: whatever the handler still says goes nowhere. */
  abandon(): void {
    this.#abandoned = true;
  }

  send(status: number, headers: ResponseHeaders, body: Uint8Array | string): void {
    // A string goes out in one piece with its head; bytes would be a piece of their own.
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    const bodiless = statusWithoutBody.has(status);
    this.#writeHead(status, bodiless ? headers : { ...headers, 'content-length': String(length) });
    if (this.#abandoned) return;
    const silent = bodiless || this.#response.req.method === 'HEAD';
    if (!silent) this.#bytes += length;
    this.#response.end(silent ? undefined : body);
  }

  start(status: number, headers: ResponseHeaders): HttpStream {
    this.#writeHead(status, headers);
    if (this.#abandoned) return goneStream;
    this.#response.flushHeaders();
    return new NodeStream(this.#response, this.#limits, (bytes) => {
      this.#bytes += bytes;
    });
  }

  #writeHead(status: number, headers: ResponseHeaders): void {
    assert(!this.#started, 'a request is answered once');
    if (!this.#abandoned) {
      // Throws on a header that cannot be sent: then nothing has begun, and the caller still gets an answer.
      this.#response.writeHead(
        status,
        this.#closes()
          ? { ...this.#identity, ...this.#added, ...headers, connection: 'close' }
          : { ...this.#identity, ...this.#added, ...headers },
      );
      this.#status = status;
    }
    this.#started = true;
  }

  /** Whether everything was said: a handler that returned earlier left its caller waiting. */
  get ended(): boolean {
    return this.#abandoned || this.#response.writableEnded || this.#response.destroyed;
  }
}

const goneStream: HttpStream = {
  write: () => Promise.resolve(false),
  end: () => undefined,
  destroy: () => undefined,
};

class NodeStream implements HttpStream {
  readonly #response: ServerResponse;
  readonly #limits: HttpLimits;
  readonly #count: (bytes: number) => void;

  constructor(response: ServerResponse, limits: HttpLimits, count: (bytes: number) => void) {
    this.#response = response;
    this.#limits = limits;
    this.#count = count;
  }

  get #dead(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  async write(bytes: Uint8Array): Promise<boolean> {
    for (let from = 0; from < bytes.length; from += pieceBytesMax) {
      const piece = bytes.subarray(from, from + pieceBytesMax);
      // oxlint-disable-next-line no-await-in-loop -- back-pressure: each piece waits for the one before it
      if (!(await this.#writePiece(piece))) return false;
    }
    return !this.#dead;
  }

  async #writePiece(bytes: Uint8Array): Promise<boolean> {
    if (this.#dead) return false;
    if (this.#response.writableLength > this.#limits.writeBufferBytesMax) {
      this.destroy();
      return false;
    }
    this.#count(bytes.length);
    return this.#response.write(bytes) ? true : await this.#drained();
  }

  end(): void {
    if (!this.#dead) this.#response.end();
  }

  destroy(): void {
    const socket = this.#response.socket;
    if (socket === null) this.#response.destroy();
    else cutConnection(socket);
  }

  #drained(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const response = this.#response;
    const settle = (alive: boolean): void => {
      clearTimeout(stalled);
      response.off('drain', onDrain).off('close', onClose);
      resolve(alive);
    };
    const onDrain = (): void => settle(true);
    const onClose = (): void => settle(false);
    const stalled = setTimeout(() => {
      this.destroy();
      settle(false);
    }, this.#limits.stalledReaderMs);
    response.on('drain', onDrain).on('close', onClose);
    return promise;
  }
}
