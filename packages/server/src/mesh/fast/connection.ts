import type { Socket } from 'node:net';
import { httpLimits } from '../../http/limits.ts';
import { readHead } from '../../http/fast/index.ts';
import { judgeHead } from '../../http/head.ts';
import { oneWriteBytesMax } from '../../http/one-write.ts';
import { type OwnAnswer, sendOwnRaw } from '../answer.ts';
import { requestFields, trailerFields } from '../fields.ts';
import { withoutTrace } from '../spans.ts';
import type { PassedHead } from './answer-head.ts';
import { ChunkPass } from './chunk-pass.ts';
import { type FastWay, type Lane, laneTickMs, type LaneUser } from './door.ts';
import type { Wire, WireUser } from './wire.ts';

const headEnd = '\r\n\r\n';
/** What may wait behind the request that is being answered, before its sender is made to wait. */
const waitingBytesMax = 65_536;
/** node:http counts a little differently; what comes near its limit is for it to judge. */
const headMargin = 1_024;
const interimMax = 8;

/** A head that was read and judged, for the next request that has the very same one. */
interface KnownHead<Memo> {
  readonly text: string;
  readonly bodyBytes: number;
  /** Request line and fields as they go on. */
  readonly passed: string;
  /** The same without the caller's trace. */
  readonly untraced: string;
  readonly isRepeatable: boolean;
  readonly memo: Memo;
}

/** One connection of a caller while its requests are of the usual shape: one goes on, its answer comes back, then the next. */
export class FastConnection<Memo> implements WireUser, LaneUser {
  readonly #socket: Socket;
  readonly #lane: Lane<Memo>;
  #known: KnownHead<Memo> | undefined;
  #way: FastWay | undefined;
  #wire: Wire | undefined;
  /** Bytes of the request's body that are still to come. */
  #asks = 0;
  #answer: PassedHead | undefined;
  #answers = 0;
  #chunks: ChunkPass | undefined;
  /** Of an unfinished head of an answer. */
  #pending: Buffer | undefined;
  #interim = 0;
  #waiting: Buffer | undefined;
  #isRunning = false;
  #isOver = false;
  #closes = false;
  #isRetry = false;
  #taken = 0;
  #sinceTick: number;
  readonly #onData = (bytes: Buffer): void => this.#take(bytes);
  readonly #onEnd = (): void => void this.#socket.end();
  readonly #onClose = (): void => this.#closed();
  readonly #onDrainOut = (): void => this.#callerDrained();
  readonly #onError = (): void => undefined;

  constructor(socket: Socket, lane: Lane<Memo>) {
    this.#socket = socket;
    this.#lane = lane;
    this.#sinceTick = lane.tick;
    socket.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrainOut);
    socket.on('close', this.#onClose).on('error', this.#onError);
  }

  /** Ends it after the answer that is under way. */
  end(): void {
    this.#closes = true;
    if (!this.#isRunning) this.#socket.destroySoon();
  }

  /** Called once a tick. */
  look(): void {
    const { limits } = this.#lane.door;
    const quietMs = (this.#lane.tick - this.#sinceTick) * laneTickMs;
    if (!this.#isRunning) {
      if (quietMs > httpLimits.keepAliveMs) this.#socket.destroy();
    } else if (this.#answer === undefined) {
      if (quietMs <= limits.firstByteMs + limits.dialMs * 2) return;
      this.#fail({ code: 'upstream_timeout', message: 'The other end did not answer in time.' });
    } else if (quietMs > limits.idleMs) {
      this.#fail({ code: 'upstream_timeout', message: 'The other end stopped.' });
    }
  }

  // What the caller sends.

  #take(bytes: Buffer): void {
    if (!this.#isRunning) {
      this.#begin(bytes);
      return;
    }
    let from = 0;
    if (this.#asks > 0) {
      from = Math.min(bytes.length, this.#asks);
      this.#asks -= from;
      this.#sinceTick = this.#lane.tick;
      const isGoing = this.#wire?.socket.write(
        from === bytes.length ? bytes : bytes.subarray(0, from),
      );
      if (isGoing === false) this.#socket.pause();
      if (from === bytes.length) return;
    }
    const more = from === 0 ? bytes : bytes.subarray(from);
    this.#waiting = this.#waiting === undefined ? more : Buffer.concat([this.#waiting, more]);
    if (this.#waiting.length > waitingBytesMax) this.#socket.pause();
  }

  /** The first bytes of a request: its whole head, or it is not for us. */
  #begin(bytes: Buffer): void {
    const { door } = this.#lane;
    const end = bytes.indexOf(headEnd, 0, 'latin1');
    if (end === -1 || end > door.limits.headBytesMax - headMargin) return this.#handOver(bytes);
    const known = this.#headOf(bytes.toString('latin1', 0, end));
    const from = end + headEnd.length;
    // Several requests at once are rare, and their order is what node:http is good at.
    if (known === undefined || bytes.length > from + known.bodyBytes) return this.#handOver(bytes);
    const way = door.admit(known.memo, this.#socket);
    if (way === undefined) return this.#handOver(bytes);
    this.#known = known;
    this.#taken += 1;
    this.#sinceTick = this.#lane.tick;
    this.#isRunning = true;
    if ('code' in way) {
      this.#own(way);
      return;
    }
    if (this.#taken >= door.limits.requestsPerConnectionMax) this.#closes = true;
    this.#way = way;
    this.#isRetry = false;
    this.#asks = known.bodyBytes - (bytes.length - from);
    const wire = way.pool.take();
    if (wire === undefined) void this.#dial(bytes, from);
    else this.#send(wire, bytes, from);
  }

  #headOf(text: string): KnownHead<Memo> | undefined {
    if (this.#known?.text === text) return this.#known;
    const read = readHead(text);
    if (read === undefined) return undefined;
    const { door } = this.#lane;
    if (read.bodyBytes > door.limits.bodyBytesMax) return undefined;
    const judged = judgeHead(read, this.#socket.remoteAddress, door.rules);
    if (!judged.ok) return undefined;
    const memo = door.prepare(judged.value, read.rawHeaders);
    if (memo === undefined) return undefined;
    const line = `${read.method} ${read.target} HTTP/1.1\r\n`;
    const fields = requestFields(read.rawHeaders);
    return {
      text,
      bodyBytes: read.bodyBytes,
      passed: line + linesOf(fields),
      untraced: line + linesOf(withoutTrace(fields)),
      isRepeatable: read.method === 'GET',
      memo,
    };
  }

  async #dial(bytes: Buffer, from: number): Promise<void> {
    const way = this.#way;
    if (way === undefined) return;
    // Nothing of a body is taken before there is somebody whom it is for.
    if (this.#asks > 0) this.#socket.pause();
    const dialed = await way.pool.dial();
    if (!this.#isRunning || this.#isOver) {
      if (dialed.ok) way.pool.offer(dialed.value);
      return;
    }
    if (!dialed.ok) {
      this.#fail(dialed.error);
      return;
    }
    this.#send(dialed.value, bytes, from);
    if (this.#asks > 0) this.#socket.resume();
  }

  #send(wire: Wire, bytes: Buffer, from: number): void {
    this.#wire = wire;
    wire.use(this);
    const { socket } = wire;
    const head = this.#headFor();
    if (from === bytes.length) socket.write(head, 'latin1');
    else if (bytes.length - from <= oneWriteBytesMax) {
      socket.write(head + bytes.toString('latin1', from), 'latin1');
    } else {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(bytes.subarray(from));
      socket.uncork();
    }
  }

  #headFor(): string {
    const { fields = '', span } = this.#way ?? {};
    if (span === undefined) return `${this.#known?.passed ?? ''}${fields}\r\n`;
    return `${this.#known?.untraced ?? ''}${fields}traceparent: ${span.traceparent}\r\n\r\n`;
  }

  #handOver(bytes: Buffer): void {
    const socket = this.#socket;
    this.#leave();
    socket.pause();
    socket.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrainOut);
    socket.off('close', this.#onClose).off('error', this.#onError);
    this.#lane.door.handOver(socket, bytes);
  }

  // What the other end answers.

  onBytes(bytes: Buffer): void {
    this.#sinceTick = this.#lane.tick;
    if (this.#answer === undefined) this.#takeHead(bytes);
    else this.#takeBody(bytes, 0, '');
  }

  onGone(cause: Error | undefined): void {
    if (!this.#isRunning) return;
    const wire = this.#wire;
    this.#wire = undefined;
    if (cause === undefined && this.#answer?.framing === 'close') {
      this.#socket.write('0\r\n\r\n', 'latin1');
      this.#finish(undefined);
      return;
    }
    const { door } = this.#lane;
    const isSilent = this.#answer === undefined && this.#pending === undefined;
    const mayRepeat =
      isSilent &&
      !this.#isRetry &&
      (wire?.carried ?? 0) > 0 &&
      this.#known?.isRepeatable === true &&
      door.mayRepeat();
    if (mayRepeat) {
      this.#isRetry = true;
      void this.#dial(Buffer.alloc(0), 0);
      return;
    }
    const code = cause !== undefined && 'code' in cause ? String(cause.code) : 'ECONNRESET';
    this.#fail({ code: 'upstream_error', message: `The other end failed: ${code}.` });
  }

  onDrain(): void {
    if ((this.#waiting?.length ?? 0) <= waitingBytesMax) this.#socket.resume();
  }

  #takeHead(arrived: Buffer): void {
    let bytes = this.#pending === undefined ? arrived : Buffer.concat([this.#pending, arrived]);
    for (;;) {
      const end = bytes.indexOf(headEnd, 0, 'latin1');
      const { headBytesMax } = this.#lane.door.limits;
      if ((end === -1 ? bytes.length : end) > headBytesMax) return this.#broken();
      if (end === -1) {
        this.#pending = bytes;
        return;
      }
      const head = this.#way?.pool.headOf(bytes.toString('latin1', 0, end));
      if (head === undefined || head.status === 101) return this.#broken();
      const from = end + headEnd.length;
      if (head.status >= 200) {
        this.#pending = undefined;
        this.#beginAnswer(head, bytes, from);
        return;
      }
      this.#interim += 1;
      if (this.#interim > interimMax) return this.#broken();
      // 100 is between us and the other end: nobody asked for it here.
      if (head.status !== 100) this.#socket.write(`${head.text}\r\n`, 'latin1');
      bytes = bytes.subarray(from);
      this.#pending = bytes;
    }
  }

  #beginAnswer(head: PassedHead, bytes: Buffer, from: number): void {
    this.#answer = head;
    // An answer before the end of its request: what is left of the request has no reader.
    if (this.#asks > 0) this.#closes = true;
    const text = this.#closes ? `${head.text}Connection: close\r\n\r\n` : `${head.text}\r\n`;
    if (head.framing === 'chunked')
      this.#chunks = new ChunkPass(this.#lane.door.limits.headBytesMax);
    this.#answers = head.bodyBytes;
    this.#takeBody(bytes, from, text);
  }

  /** Passes a piece of the body on, behind `text`, and ends the exchange where it is the last. */
  #takeBody(bytes: Buffer, from: number, text: string): void {
    const { framing } = this.#answer ?? { framing: 'none' };
    if (framing === 'chunked') return this.#takeChunks(bytes, from, text);
    if (framing === 'close') {
      const size = bytes.length - from;
      const start = size === 0 ? text : `${text}${size.toString(16)}\r\n`;
      this.#write(start, bytes, from, bytes.length, size === 0 ? '' : '\r\n');
      return;
    }
    const end = Math.min(bytes.length, from + this.#answers);
    this.#answers -= end - from;
    this.#write(text, bytes, from, end, '');
    if (this.#answers === 0) this.#finish(end === bytes.length);
  }

  #takeChunks(bytes: Buffer, from: number, text: string): void {
    const chunks = this.#chunks;
    if (chunks === undefined) return;
    const end = chunks.walk(bytes, from);
    if (end === -1) return this.#broken();
    let tail = '';
    if (chunks.isDone) {
      tail = `${linesOf(trailerFields(chunks.trailers))}\r\n`;
    }
    this.#write(text, bytes, from, chunks.rawEnd, tail);
    if (chunks.isDone) this.#finish(end === bytes.length);
  }

  #write(text: string, bytes: Buffer, from: number, end: number, tail: string): void {
    const socket = this.#socket;
    let isGoing = true;
    if (end - from <= oneWriteBytesMax) {
      const piece = end === from ? '' : bytes.toString('latin1', from, end);
      const whole = text === '' && tail === '' ? piece : text + piece + tail;
      if (whole !== '') isGoing = socket.write(whole, 'latin1');
    } else {
      socket.cork();
      if (text !== '') socket.write(text, 'latin1');
      isGoing = socket.write(
        from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end),
      );
      if (tail !== '') socket.write(tail, 'latin1');
      socket.uncork();
    }
    if (!isGoing) this.#wire?.socket.pause();
  }

  #callerDrained(): void {
    this.#wire?.socket.resume();
    if (!this.#isRunning && this.#waiting !== undefined) this.#next();
  }

  /** The answer is whole. `isClean`: nothing followed it, and the connection may be used again; undefined: it is gone. */
  #finish(isClean: boolean | undefined): void {
    const wire = this.#wire;
    const pool = this.#way?.pool;
    if (wire !== undefined) {
      this.#wire = undefined;
      // It may have been made to wait for our caller.
      wire.socket.resume();
      const keeps = isClean === true && this.#answer?.keeps === true && this.#asks === 0;
      if (keeps && wire.socket.writableLength === 0) pool?.offer(wire);
      else pool?.drop(wire);
    }
    this.#lane.door.settled();
    this.#way?.span?.end(this.#answer?.status, undefined);
    this.#reset();
    if (this.#closes) {
      this.#leave();
      this.#socket.off('data', this.#onData);
      this.#socket.resume();
      this.#socket.destroySoon();
      return;
    }
    if (this.#waiting !== undefined && this.#socket.writableLength === 0) this.#next();
  }

  #next(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined || this.#socket.destroyed) return;
    this.#socket.resume();
    this.#begin(waiting);
  }

  #reset(): void {
    this.#isRunning = false;
    this.#way = undefined;
    this.#answer = undefined;
    this.#answers = 0;
    this.#chunks = undefined;
    this.#pending = undefined;
    this.#interim = 0;
    this.#asks = 0;
  }

  #broken(): void {
    const message = 'The other end failed: its answer cannot be passed on.';
    this.#fail({ code: 'upstream_error', message });
  }

  /** Nobody could be asked, or the answer broke: our own words where nothing was said yet, else a cut. */
  #fail(answer: OwnAnswer): void {
    const wire = this.#wire;
    this.#wire = undefined;
    if (wire !== undefined) this.#way?.pool.drop(wire);
    this.#lane.door.failed(answer);
    this.#way?.span?.end(undefined, answer.code);
    this.#way = undefined;
    if (this.#answer === undefined) this.#own(answer);
    else this.#socket.destroy();
  }

  /** Answers in our own words, which end the connection. */
  #own(answer: OwnAnswer): void {
    this.#reset();
    this.#leave();
    const socket = this.#socket;
    // What still comes is read and dropped, so that the answer is not lost to a reset.
    socket.off('data', this.#onData);
    socket.resume();
    sendOwnRaw(socket, answer);
    setTimeout(() => socket.destroy(), httpLimits.lingerMs).unref();
  }

  #leave(): void {
    this.#isOver = true;
    this.#lane.left(this);
  }

  #closed(): void {
    this.#leave();
    const wire = this.#wire;
    this.#wire = undefined;
    if (wire !== undefined) this.#way?.pool.drop(wire);
    this.#way?.span?.end(undefined, 'client_gone');
    this.#reset();
  }
}

function linesOf(fields: readonly string[]): string {
  let lines = '';
  for (let index = 0; index + 1 < fields.length; index += 2) {
    lines += `${fields[index]}: ${fields[index + 1]}\r\n`;
  }
  return lines;
}
