import { err, ok, type Result } from '@postern/core/base';
import { type Refusal, refusal, refuse } from '@postern/core/errors';
import type { Dispatcher } from 'undici';
import type { OutboundAnswer, OutboundTimeouts } from '../../http/index.ts';
import { codeOf } from './dial.ts';
import type { EgressLimits } from './limits.ts';
import { DialFailure, type Lease } from './pool.ts';

type Start = Result<OutboundAnswer, Refusal>;
type Controller = Dispatcher.DispatchController;
type Stage = 'connect' | 'first-byte' | 'body' | 'done';

/**
 * One exchange with an upstream: undici's callbacks in, an answer with back-pressure out. Every path ends in
 * `#finish`, once.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly started: Promise<Start>;
  readonly #start: (outcome: Start) => void;
  readonly #lease: Lease;
  readonly #limits: EgressLimits;
  readonly #timeouts: OutboundTimeouts;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.#cancel();
  readonly #total: NodeJS.Timeout;
  #phase: NodeJS.Timeout;
  #controller: Controller | undefined;
  #stage: Stage = 'connect';
  #interim = 0;
  #failure: Refusal | undefined;
  readonly #pieces: Uint8Array[] = [];
  #buffered = 0;
  #taken = false;
  #wake: (() => void) | undefined;

  constructor(lease: Lease, signal: AbortSignal, timeouts: OutboundTimeouts, limits: EgressLimits) {
    const { promise, resolve } = Promise.withResolvers<Start>();
    this.started = promise;
    this.#start = resolve;
    this.#lease = lease;
    this.#limits = limits;
    this.#timeouts = timeouts;
    this.#signal = signal;
    this.#phase = setTimeout(() => this.#late('connect'), timeouts.connectMs);
    this.#total = setTimeout(() => this.#late('total'), timeouts.totalMs);
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#stage === 'done') {
      controller.abort(new Error('finished'));
      return;
    }
    this.#stage = 'first-byte';
    this.#arm('first-byte', this.#timeouts.firstByteMs);
  }

  onRequestSent(): void {
    if (this.#stage === 'first-byte') this.#arm('first-byte', this.#timeouts.firstByteMs);
  }

  onRequestUpgrade(): void {
    this.#fail(refusal('upstream_error', 'the upstream switched protocols unasked'));
  }

  onResponseStart(
    _controller: Controller,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (this.#stage === 'done') return;
    if (status < 200) {
      this.#interim += 1;
      if (this.#interim > this.#limits.interimMax) {
        this.#fail(refusal('upstream_error', 'the upstream sent too many interim answers'));
      }
      return;
    }
    if (countHeaders(headers) > this.#limits.headersMax) {
      this.#fail(refusal('upstream_error', 'the upstream sent too many headers'));
      return;
    }
    const plain = plainHeaders(headers);
    const encoding = plain['content-encoding'];
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      this.#fail(refusal('upstream_error', 'the upstream compressed its answer unasked'));
      return;
    }
    this.#stage = 'body';
    this.#arm('idle', this.#timeouts.idleMs);
    this.#start(ok(this.#answer(status, plain)));
  }

  onResponseData(controller: Controller, piece: Uint8Array): void {
    if (this.#stage !== 'body') return;
    this.#pieces.push(piece);
    this.#buffered += piece.length;
    if (this.#buffered >= this.#limits.bufferedBytesMax) {
      controller.pause();
      // While our own reader is slow the upstream is not idle.
      clearTimeout(this.#phase);
    } else {
      this.#phase.refresh();
    }
    this.#wakeReader();
  }

  onResponseEnd(): void {
    if (this.#stage !== 'body') return;
    this.#finish(undefined);
    this.#lease.release();
  }

  onResponseError(_controller: Controller, cause: Error): void {
    this.#fail(refusalOf(cause, this.#stage, this.#lease.reused));
  }

  #answer(status: number, headers: Readonly<Record<string, string>>): OutboundAnswer {
    const body = { [Symbol.asyncIterator]: () => this.#read() };
    return {
      status,
      headers,
      body,
      failure: () => this.#failure,
      readAll: (bytesMax) => this.#readAll(bytesMax),
      cancel: () => this.#cancel(),
    };
  }

  async *#read(): AsyncGenerator<Uint8Array, void, void> {
    if (this.#taken) return;
    this.#taken = true;
    try {
      for (;;) {
        const piece = this.#pieces.shift();
        if (piece !== undefined) {
          this.#took(piece.length);
          yield piece;
        } else if (this.#stage === 'done') {
          return;
        } else {
          // oxlint-disable-next-line no-await-in-loop -- waits for the next piece
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      // A reader that leaves early wants no more of it.
      this.#cancel();
    }
  }

  #took(bytes: number): void {
    const wasFull = this.#buffered >= this.#limits.bufferedBytesMax;
    this.#buffered -= bytes;
    const flows = this.#stage === 'body' && this.#buffered < this.#limits.bufferedBytesMax;
    if (!wasFull || !flows) return;
    this.#arm('idle', this.#timeouts.idleMs);
    this.#controller?.resume();
  }

  async #readAll(bytesMax: number): Promise<Result<Uint8Array, Refusal>> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of { [Symbol.asyncIterator]: () => this.#read() }) {
      bytes += piece.length;
      if (bytes > bytesMax) {
        return refuse('upstream_error', `the answer is larger than ${bytesMax} bytes`);
      }
      pieces.push(piece);
    }
    return this.#failure === undefined ? ok(Buffer.concat(pieces, bytes)) : err(this.#failure);
  }

  #arm(stage: 'first-byte' | 'idle', ms: number): void {
    clearTimeout(this.#phase);
    this.#phase = setTimeout(() => this.#late(stage), ms);
  }

  #late(stage: 'connect' | 'first-byte' | 'idle' | 'total'): void {
    const detail = { stage, reused: this.#lease.reused };
    this.#fail(
      stage === 'connect'
        ? refusal('upstream_unavailable', 'the upstream did not accept a connection in time', {
            detail,
          })
        : refusal('upstream_timeout', lateMessages[stage], { detail }),
    );
  }

  #cancel(): void {
    this.#fail(
      refusal('upstream_unavailable', 'the call was cancelled', { detail: { stage: 'cancelled' } }),
    );
  }

  #fail(why: Refusal): void {
    if (this.#stage === 'done') return;
    this.#finish(why);
    this.#pieces.length = 0;
    this.#lease.destroy();
    this.#start(err(why));
  }

  #finish(why: Refusal | undefined): void {
    this.#stage = 'done';
    this.#failure = why;
    clearTimeout(this.#phase);
    clearTimeout(this.#total);
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#wakeReader();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

const lateMessages = {
  'first-byte': 'the upstream did not begin its answer in time',
  idle: 'the upstream stopped in the middle of its answer',
  total: 'the upstream did not finish its answer in time',
} as const;

function countHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): number {
  let count = 0;
  for (const value of Object.values(headers)) count += Array.isArray(value) ? value.length : 1;
  return count;
}

/** Meant for the connection between us and the upstream only (RFC 9110 section 7.6.1). */
const hopByHop: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

function plainHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Readonly<Record<string, string>> {
  const plain: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) {
      plain[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
    }
  }
  const listed = plain['connection']?.split(',').map((name) => name.trim().toLowerCase()) ?? [];
  for (const name of [...hopByHop, ...listed]) delete plain[name];
  return plain;
}

function refusalOf(cause: Error, stage: Stage, reused: boolean): Refusal {
  if (cause instanceof DialFailure) return cause.refusal;
  const detail = { stage, reused, cause: codeOf(cause) };
  const message =
    stage === 'body'
      ? 'the answer of the upstream broke off'
      : 'the upstream ended the connection or answered with something that is not HTTP';
  return refusal('upstream_error', message, { detail });
}
