import type { Socket } from 'node:net';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { CallSignal, OutboundAnswer, OutboundTimeouts } from '../../http/index.ts';
import {
  beginsWith,
  Leaving,
  oneWriteBytesMax,
  sayAtEndOfTurn,
  turnMs,
  type Speaker,
} from '../../http/index.ts';
import { AnswerBody, type BodySource } from './answer-body.ts';
import type { AnswerHead } from './answer-head.ts';
import { readAnswerHead } from './answer-head.ts';
import { ChunkWalker } from './chunks.ts';
import type { Deadlines, Timed } from './deadlines.ts';
import type { SocketEgressLimits } from './limits.ts';
import type { Pool } from './pool.ts';
import { headText, type RequestHead, wholeRequest } from './request-head.ts';
import type { Pace, Paced } from './read-pace.ts';
import type { Wire, WireUser } from './wire.ts';

type Start = Result<OutboundAnswer, Refusal>;
type Stage = 'connect' | 'first-byte' | 'body' | 'done';

/** What every call of one way out shares. */
export interface ExchangeContext {
  readonly limits: SocketEgressLimits;
  readonly deadlines: Deadlines;
  readonly pace: Pace;
}

/** A request as it goes out. */
interface Said {
  readonly head: RequestHead;
  readonly body: Uint8Array | string | undefined;
  /** The body is a text in which every character is one byte. */
  readonly isAscii: boolean;
}

const headEnd = '\r\n\r\n';
/** What one read brings of events; more of it is an answer that comes as fast as it can. */
const pacedBytesMax = 8_192;

/** One call: its request written in one go, its answer read strictly. Every path ends in `#finish`, once. */
export class Exchange implements WireUser, Timed, BodySource, Paced, Speaker {
  place = -1;
  dueMs = 0;
  readonly started: Promise<Start>;
  readonly #start: (outcome: Start) => void;
  readonly #pool: Pool;
  readonly #limits: SocketEgressLimits;
  readonly #deadlines: Deadlines;
  readonly #pace: Pace;
  readonly #timeouts: OutboundTimeouts;
  readonly #signal: CallSignal;
  readonly #onAbort = (): void => this.cancel();
  #dialAbort: Leaving | undefined;
  readonly #totalAtMs: number;
  #phaseAtMs: number;
  /** Something arrived since the times were last looked at. */
  #moved = false;
  /** What arrives is in memory that others read into next. */
  #isLent = false;
  #stage: Stage = 'connect';
  /** It is read again when the pace says so. */
  #isPutOff = false;
  #wire: Wire | undefined;
  /** Where the body comes from; known for longer than the connection is ours, so that it is never left paused. */
  #socket: Socket | undefined;
  #reused = false;
  /** A request in one text that waits for the end of the turn. */
  #unsaid: Said | undefined;
  #interim = 0;
  /** Bytes of an unfinished head. */
  #pending: Buffer | undefined;
  #head: AnswerHead | undefined;
  #left = 0;
  #chunks: ChunkWalker | undefined;
  #body: AnswerBody | undefined;

  constructor(
    pool: Pool,
    context: ExchangeContext,
    call: {
      readonly signal: CallSignal;
      readonly timeouts: OutboundTimeouts;
      /** When it begins, monotonic ms. */
      readonly nowMs: number;
    },
  ) {
    const { promise, resolve } = Promise.withResolvers<Start>();
    this.started = promise;
    this.#start = resolve;
    this.#pool = pool;
    this.#limits = context.limits;
    this.#deadlines = context.deadlines;
    this.#pace = context.pace;
    this.#timeouts = call.timeouts;
    this.#signal = call.signal;
    this.#totalAtMs = call.nowMs + call.timeouts.totalMs;
    this.#phaseAtMs = call.nowMs + call.timeouts.connectMs;
    context.deadlines.add(this);
    call.signal.addEventListener('abort', this.#onAbort);
  }

  /** Sends over a kept connection, or over a new one. */
  begin(warm: Wire | undefined, said: Said, nowMs: number): void {
    if (warm === undefined) void this.#dial(said);
    else this.#send(warm, said, nowMs);
  }

  async #dial(said: Said): Promise<void> {
    this.#dialAbort = new Leaving();
    const dialed = await this.#pool.dial(this.#dialAbort);
    if (!dialed.ok) this.#fail(dialed.error);
    else if (this.#stage === 'done') this.#pool.drop(dialed.value);
    else this.#send(dialed.value, said, performance.now());
  }

  #send(wire: Wire, said: Said, nowMs: number): void {
    this.#wire = wire;
    this.#reused = wire.reused;
    this.#stage = 'first-byte';
    this.#phaseAtMs = nowMs + this.#timeouts.firstByteMs;
    wire.use(this);
    const { head, body } = said;
    if (typeof body !== 'object' || body.length <= oneWriteBytesMax) {
      this.#unsaid = said;
      sayAtEndOfTurn(this);
      return;
    }
    const { socket } = wire;
    socket.cork();
    socket.write(headText(head), 'latin1');
    socket.write(body);
    socket.uncork();
  }

  say(): void {
    const said = this.#unsaid;
    if (said === undefined) return;
    this.#unsaid = undefined;
    const { head, body, isAscii } = said;
    if (typeof body === 'object') {
      this.#wire?.socket.write(wholeRequest(head, body));
      return;
    }
    // Heads are ASCII, so one encoding fits both and one write takes them; most bodies are ASCII too.
    const text = headText(head) + (body ?? '');
    this.#wire?.socket.write(text, isAscii ? 'latin1' : 'utf8');
  }

  onBytes(bytes: Buffer, isLent: boolean): boolean {
    this.#moved = true;
    this.#isLent = isLent;
    if (this.#stage === 'body') this.#takeBody(bytes, 0);
    else if (this.#unsaid !== undefined) this.#early();
    else if (this.#stage === 'first-byte') this.#takeHead(bytes);
    // What does not come by lent memory cannot be left in the socket.
    return !isLent || !this.#mayWait(bytes.length) || !this.#putOff();
  }

  /** Only a stream of small events that is on its way to its reader. */
  #mayWait(bytes: number): boolean {
    return (
      bytes <= pacedBytesMax &&
      this.#stage === 'body' &&
      this.#body?.isPushed === true &&
      !this.#body.isPaused &&
      !this.#isPutOff
    );
  }

  #putOff(): boolean {
    this.#isPutOff = this.#pace.putsOff(this);
    return this.#isPutOff;
  }

  readAgain(): void {
    this.#isPutOff = false;
    if (this.#stage === 'body' && this.#body?.isPaused === false) this.#socket?.resume();
  }

  /** What arrived, for longer than this call. */
  #kept(bytes: Buffer, from = 0, end = bytes.length): Buffer {
    if (!this.#isLent)
      return from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end);
    const kept = Buffer.allocUnsafe(end - from);
    bytes.copy(kept, 0, from, end);
    return kept;
  }

  /** What comes before the request went out answers nothing: mostly a server that says why it closes. */
  #early(): void {
    this.#fail(this.#error('the upstream answered before it was asked', 'ECONNRESET'));
  }

  onGone(cause: Error | undefined): void {
    if (this.#stage === 'done') return;
    if (cause === undefined && this.#stage === 'body' && this.#head?.framing.kind === 'close') {
      this.#complete(false);
      return;
    }
    const isSilent = this.#pending === undefined && this.#interim === 0;
    const code = cause !== undefined && 'code' in cause ? cause.code : undefined;
    this.#fail(
      this.#stage === 'body'
        ? this.#error('the answer of the upstream broke off', code ?? 'ENDED')
        : this.#error(
            'the upstream ended the connection or answered with something that is not HTTP',
            // What ended without a word may be asked once more on a connection of its own.
            isSilent ? (code ?? 'ECONNRESET') : 'BROKEN_HEAD',
          ),
    );
  }

  check(nowMs: number): void {
    if (this.#stage === 'done') return;
    if (nowMs >= this.#totalAtMs) {
      this.#late('total');
      return;
    }
    if (this.#stage === 'body') {
      // While our own reader is slow, or we do not read, the upstream is not idle.
      if (this.#moved || this.#isPutOff || this.#body?.isPaused === true) {
        this.#phaseAtMs = nowMs + this.#timeouts.idleMs;
      }
      this.#moved = false;
    } else if (this.#stage === 'first-byte' && (this.#wire?.socket.writableLength ?? 0) > 0) {
      this.#phaseAtMs = nowMs + this.#timeouts.firstByteMs;
    }
    if (nowMs < this.#phaseAtMs) return;
    this.#late(
      this.#stage === 'body' ? 'idle' : this.#stage === 'connect' ? 'connect' : 'first-byte',
    );
  }

  #takeHead(arrived: Buffer): void {
    let bytes = this.#pending === undefined ? arrived : Buffer.concat([this.#pending, arrived]);
    const last = this.#wire?.lastHead;
    if (last !== undefined && beginsWith(bytes, last.bytes)) {
      this.#pending = undefined;
      this.#begin(last.head, bytes, last.bytes.length);
      return;
    }
    for (;;) {
      const end = bytes.indexOf(headEnd, 0, 'latin1');
      if ((end === -1 ? bytes.length : end) > this.#limits.headBytesMax) {
        this.#broken('the head of the answer is too large');
        return;
      }
      if (end === -1) {
        this.#pending = this.#kept(bytes);
        return;
      }
      const head = readAnswerHead(bytes.toString('latin1', 0, end), this.#limits.headersMax);
      if (!head.ok) {
        this.#broken(head.error);
        return;
      }
      if (head.value.status >= 200) {
        this.#pending = undefined;
        const from = end + headEnd.length;
        if (this.#wire !== undefined)
          this.#wire.lastHead = { bytes: Buffer.from(bytes.subarray(0, from)), head: head.value };
        this.#begin(head.value, bytes, from);
        return;
      }
      this.#interim += 1;
      if (head.value.status === 101 || this.#interim > this.#limits.interimMax) {
        this.#broken('the upstream switched protocols unasked, or sent too many interim answers');
        return;
      }
      bytes = bytes.subarray(end + headEnd.length);
    }
  }

  #begin(head: AnswerHead, bytes: Buffer, from: number): void {
    const encoding = head.headers['content-encoding'];
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      this.#broken('the upstream compressed its answer unasked');
      return;
    }
    this.#head = head;
    this.#stage = 'body';
    this.#socket = this.#wire?.socket;
    const body = new AnswerBody(head, this, this.#limits.bufferedBytesMax);
    this.#body = body;
    if (head.framing.kind === 'length') this.#left = head.framing.bytes;
    else if (head.framing.kind === 'chunked') {
      this.#chunks = new ChunkWalker(this.#limits.trailerBytesMax);
    }
    if (this.#left === 0 && head.framing.kind === 'length') this.#complete(bytes.length === from);
    else if (from < bytes.length) this.#takeBody(bytes, from);
    if (!this.#isOver()) this.#phaseAtMs = turnMs() + this.#timeouts.idleMs;
    // Read before the promise settles: a small answer is there as a whole, and its reader never waits.
    this.#start(ok(body));
  }

  #takeBody(bytes: Buffer, from: number): void {
    const body = this.#body;
    if (body === undefined) return;
    if (this.#chunks !== undefined) {
      const whole = this.#chunks.only(bytes, from);
      if (whole !== undefined) {
        body.push(this.#kept(whole));
        return;
      }
      const pieces: Buffer[] = [];
      const end = this.#chunks.walk(bytes, from, (data) => void pieces.push(data));
      // Chunks that arrived together go on together.
      const [first] = pieces;
      if (first !== undefined)
        body.push(pieces.length === 1 ? this.#kept(first) : Buffer.concat(pieces));
      // A reader that cancelled meanwhile has ended this call.
      if (this.#isOver()) return;
      if (end === -1) this.#fail(this.#error('the answer of the upstream broke off', 'BAD_CHUNK'));
      else if (this.#chunks.isDone) this.#complete(end === bytes.length);
      return;
    }
    if (this.#head?.framing.kind === 'close') {
      body.push(this.#kept(bytes, from));
      return;
    }
    const end = Math.min(bytes.length, from + this.#left);
    this.#left -= end - from;
    body.push(this.#kept(bytes, from, end));
    if (this.#left === 0 && !this.#isOver()) this.#complete(end === bytes.length);
  }

  /** The answer is whole. `isClean`: nothing followed it. */
  #complete(isClean: boolean): void {
    const wire = this.#wire;
    this.#finish(undefined);
    if (wire === undefined) return;
    // An answer before the end of the request leaves the rest of the request in the way of the next one.
    const usable = isClean && this.#head?.keeps === true && wire.socket.writableLength === 0;
    if (usable) this.#pool.offer(wire, this.#keepMs());
    else this.#pool.drop(wire);
  }

  #keepMs(): number {
    const { keepAliveMs, keepAliveMsMax } = this.#limits;
    const seconds = this.#head?.keepAliveSeconds;
    // A second less than promised: the request must arrive before the upstream closes.
    return seconds === undefined ? keepAliveMs : Math.min(seconds * 1_000 - 1_000, keepAliveMsMax);
  }

  #broken(why: string): void {
    this.#fail(this.#error(why, 'BROKEN_HEAD'));
  }

  #error(message: string, cause: unknown): Refusal {
    return refusal('upstream_error', message, {
      detail: { stage: this.#stage, reused: this.#reused, cause: String(cause) },
    });
  }

  #late(stage: 'connect' | 'first-byte' | 'idle' | 'total'): void {
    const detail = { stage, reused: this.#reused };
    this.#fail(
      stage === 'connect'
        ? refusal('upstream_unavailable', 'the upstream did not accept a connection in time', {
            detail,
          })
        : refusal('upstream_timeout', lateMessages[stage], { detail }),
    );
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  cancel(): void {
    if (this.#stage === 'done') return;
    const detail = { stage: 'cancelled' };
    this.#fail(refusal('upstream_unavailable', 'the call was cancelled', { detail }));
  }

  #fail(why: Refusal): void {
    if (this.#stage === 'done') return;
    const wire = this.#wire;
    this.#finish(why);
    if (wire === undefined) this.#dialAbort?.abort();
    else this.#pool.drop(wire);
    this.#start(err(why));
  }

  #isOver(): boolean {
    return this.#stage === 'done';
  }

  #finish(why: Refusal | undefined): void {
    this.#stage = 'done';
    this.#unsaid = undefined;
    this.#wire = undefined;
    this.#deadlines.delete(this);
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#body?.end(why);
  }
}

const lateMessages = {
  'first-byte': 'the upstream did not begin its answer in time',
  idle: 'the upstream stopped in the middle of its answer',
  total: 'the upstream did not finish its answer in time',
} as const;
