import { Readable } from 'node:stream';
import { Fault } from '@postern/core/base';
import { beginsWith } from '../begins-with.ts';
import type { Connection } from '../connection.ts';
import { cutConnection } from '../connection.ts';
import { sayAtEndOfTurn, type Speaker } from '../end-of-turn.ts';
import { type HeadRules, type JudgedHead, judgeHead } from '../head.ts';
import { refusalAnswer } from '../refusal-answer.ts';
import { turnMs } from '../turn-clock.ts';
import type { TurnContext } from '../turn.ts';
import { FastBody } from './fast-body.ts';
import { FastReply, type ReplyLine } from './fast-reply.ts';
import { FastRequest } from './fast-request.ts';
import { readHead } from './head-reader.ts';

const headEnd = '\r\n\r\n';
/** What may wait behind the request that is being answered, before its sender is made to wait. */
const waitingBytesMax = 65_536;
/** node:http counts a little differently; what comes near its limit is for it to judge. */
const headMargin = 1_024;

/** A head that was read and judged, for the next request that has the very same one. */
export interface KnownHead {
  /** Of the peer: what is believed of a head depends on where it comes from. */
  readonly from: string | undefined;
  /** With the blank line at its end. */
  readonly bytes: Buffer;
  readonly bodyBytes: number;
  readonly judged: JudgedHead;
}

interface Running {
  readonly body: FastBody;
  readonly request: FastRequest;
  closes: boolean;
}

export interface FastWays {
  readonly context: TurnContext;
  readonly rules: HeadRules;
  /** Gives the connection to node:http; what was read of it is in the socket again. */
  handOver(): void;
  /** The head that was judged last on any connection, while some connection still knows it. */
  lately(): KnownHead | undefined;
  judged(head: KnownHead): void;
  /** It is no connection of the short way any more. */
  left(connection: FastConnection): void;
}

/** One connection while its requests are of the usual shape: one is read, answered, and then the next. */
export class FastConnection implements Speaker {
  readonly connection: Connection;
  readonly #ways: FastWays;
  #running: Running | undefined;
  /** Arrived behind the request that is being answered. */
  #waiting: Buffer | undefined;
  #known: KnownHead | undefined;
  /** An answer that waits for the end of the turn; until it is said, its request is running. */
  #unsaid: Uint8Array | undefined;
  #isOver = false;
  /** When it began to wait for its next request, monotonic ms; undefined while it has one. */
  restingSinceMs: number | undefined;
  /** On the roll of its front. */
  place = -1;
  readonly #line: ReplyLine;
  readonly #onData = (bytes: Buffer): void => this.#take(bytes);
  readonly #onEnd = (): void => this.#ended();
  readonly #onClose = (): void => this.#closed();
  readonly #onError = (): void => undefined;

  constructor(connection: Connection, ways: FastWays) {
    this.connection = connection;
    this.#ways = ways;
    const { socket } = connection;
    const { limits, options } = ways.context;
    this.#line = {
      socket,
      limits,
      nowMs: options.nowMs,
      closes: () => this.#closes(),
      answer: (bytes) => this.#answer(bytes),
      ended: () => this.#answered(),
    };
    socket.on('data', this.#onData).on('end', this.#onEnd);
    socket.on('close', this.#onClose).on('error', this.#onError);
    socket.push = (bytes: Buffer | null) => this.#push(bytes);
  }

  /**
   * What a socket read it pushes to its stream, which has an event and a task of the next tick for each read: a
   * microsecond and a half. While the stream flows and holds nothing, what it would do is to hand the bytes to us.
   */
  #push(bytes: Buffer | null): boolean {
    const { socket } = this.connection;
    if (bytes === null || socket.readableFlowing !== true || socket.readableLength > 0)
      return Readable.prototype.push.call(socket, bytes);
    this.#take(bytes);
    return true;
  }

  #take(bytes: Buffer): void {
    const running = this.#running;
    if (running === undefined) {
      this.#begin(bytes);
      return;
    }
    const from = running.body.push(bytes, 0);
    if (from === bytes.length || this.#isOver || running.closes) return;
    const more = from === 0 ? bytes : bytes.subarray(from);
    this.#waiting = this.#waiting === undefined ? more : Buffer.concat([this.#waiting, more]);
    if (this.#waiting.length > waitingBytesMax) this.connection.socket.pause();
  }

  /** The first bytes of a request: its whole head, or it is not for us. */
  #begin(bytes: Buffer): void {
    const known = this.#headOf(bytes);
    const from = known?.bytes.length ?? 0;
    // Several requests at once are rare, and their order is what node:http is good at.
    if (known === undefined || bytes.length > from + known.bodyBytes) return this.#handOver(bytes);
    this.#known = known;
    this.connection.taken += 1;
    this.restingSinceMs = undefined;
    const body = new FastBody(known.bodyBytes, this.#ways.context.limits);
    body.push(bytes, from);
    this.#run(known.judged, body);
  }

  /** The head that these bytes begin with. A client's other connections mostly send what this one does. */
  #headOf(bytes: Buffer): KnownHead | undefined {
    const own = this.#known;
    if (own !== undefined && beginsWith(bytes, own.bytes)) return own;
    const from = this.connection.peer.address;
    const lately = this.#ways.lately();
    if (lately !== undefined && lately.from === from && beginsWith(bytes, lately.bytes))
      return lately;
    const end = bytes.indexOf(headEnd, 0, 'latin1');
    if (end === -1 || end > this.#ways.context.limits.headBytesMax - headMargin) return undefined;
    const read = readHead(bytes.toString('latin1', 0, end));
    if (read === undefined) return undefined;
    const judged = judgeHead(read, from, this.#ways.rules);
    if (!judged.ok) return undefined;
    const head = {
      from,
      // A copy: what was read stands with its body in one piece of memory.
      bytes: Buffer.from(bytes.subarray(0, end + headEnd.length)),
      bodyBytes: read.bodyBytes,
      judged: judged.value,
    };
    this.#ways.judged(head);
    return head;
  }

  #run(head: JudgedHead, body: FastBody): void {
    const { context } = this.#ways;
    const { options, limits } = context;
    const { connection } = this;
    const id = options.newRequestId();
    const reply = new FastReply(this.#line, id);
    const request = new FastRequest(head, connection, {
      id,
      listener: options.kind,
      receivedAtMs: options.nowMs(),
      body,
    });
    const isLast = connection.taken >= limits.requestsPerConnectionMax;
    this.#running = { body, request, closes: isLast };
    this.#handle(request, reply);
  }

  #handle(request: FastRequest, reply: FastReply): void {
    const { handler } = this.#ways.context.options;
    const failed = (cause: unknown): void => {
      this.#ways.context.options.onFault?.(cause, request.id);
      this.#failInternally(reply, request.id);
    };
    const returned = (): void => {
      if (!reply.started || !reply.ended)
        failed(new Fault('a handler returned before the end of its answer'));
    };
    try {
      const done = handler(request, reply);
      if (done instanceof Promise) done.then(returned, failed);
      else returned();
    } catch (cause) {
      failed(cause);
    }
  }

  #failInternally(reply: FastReply, id: string): void {
    if (reply.started) {
      if (!reply.ended) cutConnection(this.connection.socket);
      return;
    }
    if (this.#running !== undefined) this.#running.closes = true;
    const answer = refusalAnswer({ code: 'internal', message: 'the gateway failed' }, id);
    reply.send(answer.status, answer.headers, answer.body);
  }

  /** An answer before the end of its request leaves the rest of the request in the way: the connection ends with it. */
  #closes(): boolean {
    const running = this.#running;
    if (running === undefined) return true;
    running.closes ||= this.#ways.context.draining() || !running.body.isComplete;
    return running.closes;
  }

  #answer(bytes: Uint8Array): void {
    this.#unsaid = bytes;
    if (this.#running?.closes === true) this.say();
    else sayAtEndOfTurn(this);
  }

  say(): void {
    const bytes = this.#unsaid;
    if (bytes === undefined) return;
    this.#unsaid = undefined;
    this.connection.socket.write(bytes);
    this.#answered();
  }

  #answered(): void {
    const { socket } = this.connection;
    const running = this.#running;
    if (running === undefined) return;
    running.body.drop();
    // A head that went out before the shutdown promised nothing: what waits behind it still gets an answer.
    const isLast = this.#ways.context.draining() && this.#waiting === undefined;
    if (running.closes || isLast) {
      this.#running = undefined;
      this.connection.closing = true;
      this.#isOver = true;
      // The rest of what the client sends is read and dropped for a while (lingering close).
      this.#stopTaking();
      socket.destroySoon();
    } else if (socket.writableLength > 0) {
      // Answers that nobody reads must not pile up; the end of the connection ends this wait too.
      socket.write('', () => this.#next());
    } else {
      this.#next();
    }
  }

  #next(): void {
    if (this.#isOver || this.connection.socket.destroyed) return;
    this.#running = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) {
      this.restingSinceMs = turnMs();
      return;
    }
    this.connection.socket.resume();
    this.#begin(waiting);
  }

  /** What comes from now on is for the stream itself. */
  #stopTaking(): void {
    const { socket } = this.connection;
    Reflect.deleteProperty(socket, 'push');
    socket.off('data', this.#onData);
  }

  #handOver(bytes: Buffer): void {
    const { socket } = this.connection;
    this.#isOver = true;
    this.#ways.left(this);
    this.#stopTaking();
    socket.pause();
    socket.off('end', this.#onEnd);
    socket.off('close', this.#onClose).off('error', this.#onError);
    socket.unshift(bytes);
    this.#ways.handOver();
    // Only now does what was put back flow again, into the other parser.
    socket.resume();
  }

  /** A client that ends its side has left, as node:http sees it: half-closed connections get no answer. */
  #ended(): void {
    this.say();
    const { socket } = this.connection;
    if (socket.writableEnded) return;
    // With nothing on its way out, both ends over plain TCP are the same two packets.
    if (socket.writableLength === 0 && this.connection.peer.transport === 'tcp') socket.destroy();
    else socket.end();
  }

  #closed(): void {
    this.#isOver = true;
    this.#unsaid = undefined;
    this.#ways.left(this);
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    running.body.gone();
    running.request.signal.abort();
  }
}
