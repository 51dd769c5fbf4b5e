import type { Socket } from 'node:net';
import { assert } from '@postern/core/base';
import { cutConnection } from '../connection.ts';
import type { HttpReply, HttpStream, ResponseHeaders } from '../exchange.ts';
import type { HeaderLines } from '../header-lines.ts';
import type { HttpLimits } from '../limits.ts';
import { oneWriteBytesMax } from '../one-write.ts';
import { headText, type ReplyHead, wholeAnswer } from './reply-head.ts';

/** One large piece is written in parts, so that the limit on waiting bytes means bytes nobody takes. */
const pieceBytesMax = 262_144;
const statusWithoutBody: ReadonlySet<number> = new Set([204, 304]);
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
  #added: HeaderLines | undefined;
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

  add(lines: HeaderLines): void {
    this.#added = lines;
  }

  send(status: number, headers: ResponseHeaders, body: Uint8Array | string): void {
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    const isBodiless = statusWithoutBody.has(status);
    const isOne = typeof body !== 'string' && length > 0 && length <= oneWriteBytesMax;
    const head = this.#head(status, headers);
    if (isOne && !isBodiless) {
      const whole = wholeAnswer(head, body);
      this.#sent(status, length);
      if (this.#isOpen()) this.#line.answer(whole);
      else this.#line.ended();
      return;
    }
    const text = headText(head, isBodiless ? '' : `content-length: ${length}\r\n`);
    this.#sent(status, isBodiless ? 0 : length);
    if (!this.#isOpen()) this.#line.ended();
    else if (isBodiless || length === 0) this.#say(text, 'latin1');
    else if (typeof body !== 'string') this.#sayBoth(text, body);
    else if (isAscii(text)) this.#say(text + body, 'utf8');
    else this.#sayBoth(text, Buffer.from(body));
  }

  #sent(status: number, bytes: number): void {
    this.#started = true;
    this.#status = status;
    this.#ended = true;
    this.#bytes = bytes;
  }

  #say(text: string, encoding: 'latin1' | 'utf8'): void {
    this.#line.socket.write(text, encoding);
    this.#line.ended();
  }

  start(status: number, headers: ResponseHeaders): HttpStream {
    const head = headText(this.#head(status, headers), 'transfer-encoding: chunked\r\n');
    this.#started = true;
    this.#status = status;
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
    socket.cork();
    socket.write(head, 'latin1');
    socket.write(body);
    socket.uncork();
    this.#line.ended();
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

  #head(status: number, headers: ResponseHeaders): ReplyHead {
    assert(!this.#started, 'a request is answered once');
    const { limits, nowMs } = this.#line;
    const closes = this.#line.closes() || headers['connection'] === 'close';
    return {
      status,
      headers,
      added: this.#added,
      requestId: this.#requestId,
      nowMs: nowMs(),
      keepAliveMs: closes ? undefined : limits.keepAliveMs,
    };
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

function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII
  return /^[\x00-\x7f]*$/.test(text);
}
