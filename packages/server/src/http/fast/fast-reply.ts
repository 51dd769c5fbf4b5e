import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { assert } from '@postern/core/base';
import { cutConnection } from '../connection.ts';
import type { HttpReply, HttpStream, ResponseHeaders } from '../exchange.ts';
import type { HttpLimits } from '../limits.ts';
import { oneWriteBytesMax } from '../one-write.ts';

/** One large piece is written in parts, so that the limit on waiting bytes means bytes nobody takes. */
const pieceBytesMax = 262_144;
const statusWithoutBody: ReadonlySet<number> = new Set([204, 304]);
const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;
const lastChunk = '0\r\n\r\n';
const dead = Promise.resolve(false);

/** What the replies of a connection need of it. */
export interface ReplyLine {
  readonly socket: Socket;
  readonly limits: HttpLimits;
  readonly nowMs: () => number;
  /** Asked once for each answer, when its head goes out: does the connection end with this answer? */
  closes(): boolean;
  /** A whole answer, in one piece. It is said by the end of this turn of the loop. */
  answer(bytes: Uint8Array): void;
  /** The answer was said to its end. */
  ended(): void;
}

/** The answer to one request: its head and a whole body are one write. */
export class FastReply implements HttpReply, HttpStream {
  readonly #line: ReplyLine;
  readonly #requestId: string;
  #started = false;
  #ended = false;
  #status = 0;
  #bytes = 0;
  /** The head of a stream: it goes out with the first piece of it, or with the end of the turn. */
  #held = '';
  /** What everybody waits for who wrote while the caller read nothing. */
  #room: Promise<boolean> | undefined;

  constructor(line: ReplyLine, requestId: string) {
    this.#line = line;
    this.#requestId = requestId;
  }

  get started(): boolean {
    return this.#started;
  }

  get sent(): { readonly status: number; readonly bytes: number } {
    return { status: this.#status, bytes: this.#bytes };
  }

  /** Whether everything was said: a handler that returned earlier left its caller waiting. */
  get ended(): boolean {
    return this.#ended || this.#line.socket.destroyed;
  }

  send(status: number, headers: ResponseHeaders, body: Uint8Array | string): void {
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    const isBodiless = statusWithoutBody.has(status);
    const head = this.#head(status, headers, isBodiless ? '' : `content-length: ${length}\r\n`);
    this.#ended = true;
    if (!isBodiless) this.#bytes = length;
    if (!this.#isOpen()) this.#line.ended();
    else if (isBodiless || length === 0) this.#say(head, 'latin1');
    else if (typeof body !== 'string') this.#sayBoth(head, body);
    else if (isAscii(head)) this.#say(head + body, 'utf8');
    else this.#sayBoth(head, Buffer.from(body));
  }

  #say(text: string, encoding: 'latin1' | 'utf8'): void {
    this.#line.socket.write(text, encoding);
    this.#line.ended();
  }

  start(status: number, headers: ResponseHeaders): HttpStream {
    const head = this.#head(status, headers, 'transfer-encoding: chunked\r\n');
    if (this.#isOpen()) {
      this.#held = head;
      process.nextTick(sayHeld, this);
    }
    return this;
  }

  /** Writes the head of a stream where nothing has taken it along. */
  sayHead(): void {
    const head = this.#takeHead();
    if (head !== '' && this.#isOpen()) this.#line.socket.write(head, 'latin1');
  }

  #takeHead(): string {
    const head = this.#held;
    this.#held = '';
    return head;
  }

  write(bytes: Uint8Array): true | Promise<boolean> {
    if (bytes.length > pieceBytesMax) return this.#writeParts(bytes);
    return this.#writePiece(bytes);
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#isOpen()) this.#line.socket.write(this.#takeHead() + lastChunk, 'latin1');
    this.#line.ended();
  }

  destroy(): void {
    cutConnection(this.#line.socket);
  }

  async #writeParts(bytes: Uint8Array): Promise<boolean> {
    for (let from = 0; from < bytes.length; from += pieceBytesMax) {
      // oxlint-disable-next-line no-await-in-loop -- back-pressure: each piece waits for the one before it
      if (!(await this.#writePiece(bytes.subarray(from, from + pieceBytesMax)))) return false;
    }
    return true;
  }

  #writePiece(bytes: Uint8Array): true | Promise<boolean> {
    const { socket, limits } = this.#line;
    if (this.#ended || !this.#isOpen()) return dead;
    if (socket.writableLength > limits.writeBufferBytesMax) {
      this.destroy();
      return dead;
    }
    if (bytes.length === 0) return true;
    this.#bytes += bytes.length;
    return this.#writeChunk(bytes) ? true : this.#drained();
  }

  #writeChunk(bytes: Uint8Array): boolean {
    const { socket } = this.#line;
    const head = this.#takeHead();
    if (bytes.length > oneWriteBytesMax) {
      socket.cork();
      socket.write(`${head}${bytes.length.toString(16)}\r\n`, 'latin1');
      socket.write(bytes);
      const hasRoom = socket.write('\r\n', 'latin1');
      socket.uncork();
      return hasRoom;
    }
    return socket.write(chunkOf(head, bytes));
  }

  #sayBoth(head: string, body: Uint8Array): void {
    const { socket } = this.#line;
    if (body.length > oneWriteBytesMax) {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body);
      socket.uncork();
      this.#line.ended();
      return;
    }
    const both = Buffer.allocUnsafe(head.length + body.length);
    both.write(head, 0, 'latin1');
    both.set(body, head.length);
    this.#line.answer(both);
  }

  #isOpen(): boolean {
    const { socket } = this.#line;
    return !socket.destroyed && !socket.writableEnded;
  }

  #drained(): Promise<boolean> {
    this.#room ??= this.#waitForRoom();
    return this.#room;
  }

  #waitForRoom(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const { socket, limits } = this.#line;
    const settle = (isAlive: boolean): void => {
      this.#room = undefined;
      clearTimeout(stalled);
      socket.off('drain', onDrain).off('close', onClose);
      resolve(isAlive);
    };
    const onDrain = (): void => settle(true);
    const onClose = (): void => settle(false);
    const stalled = setTimeout(() => {
      this.destroy();
      settle(false);
    }, limits.stalledReaderMs);
    socket.on('drain', onDrain).on('close', onClose);
    return promise;
  }

  /** Throws on a header that cannot be sent: then nothing has begun, and the caller still gets an answer. */
  #head(status: number, headers: ResponseHeaders, framing: string): string {
    assert(!this.#started, 'a request is answered once');
    const { limits, nowMs } = this.#line;
    const requestId = this.#requestId;
    // OpenAI's clients read the first name, Anthropic's the second.
    let text = `${statusLineOf(status)}x-request-id: ${requestId}\r\nrequest-id: ${requestId}\r\n`;
    text += known.get(headers) ?? linesOf(headers);
    text += `${framing}Date: ${dateText(nowMs())}\r\n`;
    this.#started = true;
    this.#status = status;
    return this.#line.closes() || headers['connection'] === 'close'
      ? `${text}${headers['connection'] === 'close' ? '' : 'connection: close\r\n'}\r\n`
      : text + keptLines(limits.keepAliveMs);
  }
}

function sayHeld(reply: FastReply): void {
  reply.sayHead();
}

/** A chunk with its size before it, and a head before that where there is one, in one piece. */
function chunkOf(head: string, bytes: Uint8Array): Buffer {
  let digits = 1;
  for (let rest = bytes.length >> 4; rest > 0; rest >>= 4) digits += 1;
  const from = head.length;
  const framed = Buffer.allocUnsafe(from + digits + bytes.length + 4);
  if (from > 0) framed.write(head, 0, 'latin1');
  for (let at = from + digits - 1, rest = bytes.length; at >= from; at -= 1, rest >>= 4) {
    const digit = rest & 15;
    framed[at] = digit < 10 ? 0x30 + digit : 0x57 + digit;
  }
  const start = from + digits + 2;
  framed[start - 2] = 0x0d;
  framed[start - 1] = 0x0a;
  framed.set(bytes, start);
  framed[framed.length - 2] = 0x0d;
  framed[framed.length - 1] = 0x0a;
  return framed;
}

/** What every head has already, whoever else names it. Twice on one answer, clients take it for an attack. */
const ours: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'x-request-id',
  'request-id',
]);

/** The lines of headers that never change, which were looked at once. */
const known = new WeakMap<ResponseHeaders, string>();

function linesOf(headers: ResponseHeaders): string {
  let lines = '';
  for (const name in headers) {
    const value = headers[name] ?? '';
    assert(headerName.test(name) && headerValue.test(value), `header ${name} can be sent`);
    if (!ours.has(name.toLowerCase())) lines += `${name}: ${value}\r\n`;
  }
  if (Object.isFrozen(headers)) known.set(headers, lines);
  return lines;
}

let keptMs = -1;
let keptText = '';

/** The end of a head after which the connection is kept: listeners mostly agree on for how long. */
function keptLines(keepAliveMs: number): string {
  if (keepAliveMs !== keptMs) {
    keptMs = keepAliveMs;
    keptText = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1_000)}\r\n\r\n`;
  }
  return keptText;
}

const statusLines = new Map<number, string>();

function statusLineOf(status: number): string {
  let line = statusLines.get(status);
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
    statusLines.set(status, line);
  }
  return line;
}

let dateSecond = -1;
let dateShown = '';

function dateText(nowMs: number): string {
  const second = Math.floor(nowMs / 1_000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateShown = new Date(nowMs).toUTCString();
  }
  return dateShown;
}

function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII
  return /^[\x00-\x7f]*$/.test(text);
}
