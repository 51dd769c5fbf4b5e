import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  request as send,
  type ServerResponse,
} from 'node:http';
import { answerOfProblem, type OwnAnswer, sendOwn } from './answer.ts';
import { callProblemOf } from './client.ts';
import { answerFields, trailerFields } from './fields.ts';
import type { MeshLimits } from './limits.ts';

/** Where a request goes on to, and how. */
export interface RelayPlan {
  readonly agent: Agent;
  /** For a backend; a peer's agent knows its own way. */
  readonly place:
    | { readonly host: string; readonly port: number }
    | { readonly socketPath: string };
  readonly method: string;
  /** As received. */
  readonly target: string;
  /** Names and values in turn, `Host` among them, nothing of the connection. */
  readonly fields: readonly string[];
  readonly expectsContinue: boolean;
  /** May a request be repeated that was lost on a kept connection? Spends from the budget. */
  readonly mayRepeat: () => boolean;
  readonly limits: MeshLimits;
}

export interface RelayEnd {
  /** Undefined where nothing could be answered. */
  readonly status: number | undefined;
  /** Ours, where it was not the other end that answered. */
  readonly own: OwnAnswer | undefined;
  /** The answer broke off in the middle. */
  readonly isBroken: boolean;
}

/** What went wrong, as a code; undefined where the other end's own answer came back whole. */
export function errorOf({ own, isBroken, status }: RelayEnd): string | undefined {
  if (own !== undefined) return own.code;
  if (!isBroken) return undefined;
  return status === undefined ? 'client_gone' : 'upstream_error';
}

const repeatable: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/**
 * Passes one request and its answer through, both as streams: fields with their repetitions, interim answers, trailers
 * and status unharmed. A broken answer is cut and never looks complete. Resolves when it is over.
 */
export function relay(
  message: IncomingMessage,
  response: ServerResponse,
  plan: RelayPlan,
): Promise<RelayEnd> {
  return new Promise((resolve) => new Relay(message, response, plan, resolve).start());
}

class Relay {
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #plan: RelayPlan;
  readonly #resolve: (end: RelayEnd) => void;
  #upstream: ClientRequest | undefined;
  #isOver = false;
  #bodyStarted = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    message: IncomingMessage,
    response: ServerResponse,
    plan: RelayPlan,
    resolve: (end: RelayEnd) => void,
  ) {
    this.#message = message;
    this.#response = response;
    this.#plan = plan;
    this.#resolve = resolve;
  }

  start(): void {
    const declared = Number(this.#message.headers['content-length'] ?? 0);
    if (declared > this.#plan.limits.bodyBytesMax) {
      this.#own(this.#tooLarge());
      return;
    }
    this.#response.sendDate = false;
    this.#response.once('close', () => this.#clientGone());
    this.#response.on('error', () => undefined);
    this.#send(true);
  }

  #send(mayRepeat: boolean): void {
    const { limits } = this.#plan;
    const upstream = this.#open();
    if (upstream === undefined) {
      this.#own({ code: 'invalid_request', message: 'This request cannot be passed on.' });
      return;
    }
    this.#upstream = upstream;
    this.#wait(limits.dialMs * 2 + limits.firstByteMs, 'did not answer in time');
    upstream.once('socket', (socket) => {
      // The connection is there and its peer was judged: now, and not before, the body may go.
      if (socket.connecting) socket.once('connect', () => this.#pump(upstream));
      else this.#pump(upstream);
    });
    upstream.on('continue', () => this.#response.writeContinue());
    upstream.on('information', ({ statusCode, rawHeaders }) => {
      if (statusCode === 103) this.#response.writeEarlyHints(objectOf(rawHeaders));
      else if (statusCode === 102) this.#response.writeProcessing();
    });
    upstream.once('response', (answer) => this.#answer(answer));
    // Nobody asked for another protocol here.
    upstream.once('upgrade', (_answer, socket) => {
      socket.destroy();
      this.#fail('it switched to a protocol that nobody asked for');
    });
    upstream.on('error', (cause: NodeJS.ErrnoException) => {
      if (this.#upstream !== upstream || this.#isOver) return;
      const problem = callProblemOf(cause);
      if (problem !== undefined) this.#own(answerOfProblem(problem));
      else if (mayRepeat && this.#isRepeatable(upstream) && this.#plan.mayRepeat())
        this.#send(false);
      else this.#fail(cause.code ?? cause.message);
    });
  }

  /** node:http throws where it would not write a head like this; whoever sent it gets a refusal. */
  #open(): ClientRequest | undefined {
    const { agent, place, method, target, fields, expectsContinue } = this.#plan;
    const expect = expectsContinue ? ['Expect', '100-continue'] : [];
    const kept = this.#isChunked() ? fields : withoutTrailerList(fields);
    const headers = [...kept, ...this.#framing(), ...expect];
    try {
      return send({ agent, ...place, method, path: target, setHost: false, headers });
    } catch {
      return undefined;
    }
  }

  #isChunked(): boolean {
    return this.#message.headers['transfer-encoding'] !== undefined;
  }

  /** Lost on a kept connection that the other end was closing, before any byte of an answer, and safe to say twice. */
  #isRepeatable(upstream: ClientRequest): boolean {
    return (
      upstream.reusedSocket &&
      !this.#bodyStarted &&
      !this.#response.headersSent &&
      repeatable.has(this.#plan.method)
    );
  }

  /** How the body is framed for the next hop: as it came. */
  #framing(): readonly string[] {
    if (this.#isChunked()) return ['Transfer-Encoding', 'chunked'];
    const hasLength = this.#message.headers['content-length'] !== undefined;
    const wantsLength = ['POST', 'PUT', 'PATCH'].includes(this.#plan.method);
    return !hasLength && wantsLength ? ['Content-Length', '0'] : [];
  }

  #hasBody(): boolean {
    return this.#isChunked() || Number(this.#message.headers['content-length'] ?? 0) > 0;
  }

  #pump(upstream: ClientRequest): void {
    if (!this.#hasBody()) {
      upstream.end();
      return;
    }
    this.#bodyStarted = true;
    let bytes = 0;
    const message = this.#message;
    message.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > this.#plan.limits.bodyBytesMax) {
        message.removeAllListeners('data');
        message.resume();
        this.#own(this.#tooLarge());
      } else if (!upstream.write(piece)) {
        message.pause();
      }
    });
    upstream.on('drain', () => message.resume());
    message.once('end', () => {
      const trailers = trailerFields(message.rawTrailers);
      if (trailers.length > 0) upstream.addTrailers(pairsOf(trailers));
      upstream.end();
    });
    message.once('aborted', () => this.#clientGone());
  }

  #answer(answer: IncomingMessage): void {
    if (this.#isOver) {
      answer.destroy();
      return;
    }
    const response = this.#response;
    const { limits, method } = this.#plan;
    const status = answer.statusCode ?? 502;
    // An answer before the end of the request: what is left of the request has no reader.
    if (!this.#message.complete) response.shouldKeepAlive = false;
    const isBodiless = method === 'HEAD' || status === 204 || status === 304;
    if (!writeHead(response, answer, isBodiless)) {
      answer.destroy();
      this.#fail('its answer has a head that cannot be passed on');
      return;
    }
    if (isBodiless) {
      answer.resume();
      response.end();
      this.#end({ status, own: undefined, isBroken: false });
      return;
    }
    response.flushHeaders();
    this.#wait(limits.idleMs, 'stopped in the middle of its answer');
    answer.on('data', (piece: Buffer) => {
      this.#timer?.refresh();
      if (!response.write(piece)) {
        answer.pause();
        response.once('drain', () => answer.resume());
      }
    });
    answer.once('end', () => {
      if (!answer.complete) {
        this.#fail('the answer broke off');
        return;
      }
      const trailers = trailerFields(answer.rawTrailers);
      if (trailers.length > 0) response.addTrailers(pairsOf(trailers));
      response.end();
      this.#end({ status, own: undefined, isBroken: false });
    });
    answer.once('error', () => this.#fail('the answer broke off'));
    answer.once('close', () => {
      if (!answer.complete) this.#fail('the answer broke off');
    });
  }

  #tooLarge(): OwnAnswer {
    const { bodyBytesMax } = this.#plan.limits;
    return {
      code: 'body_too_large',
      message: `The request body is larger than ${bodyBytesMax} bytes.`,
    };
  }

  #fail(why: string): void {
    this.#own({ code: 'upstream_error', message: `The other end failed: ${why}.` });
  }

  /** Ends the exchange in our own words, or cuts it where the other end's words have begun. */
  #own(answer: OwnAnswer): void {
    if (this.#isOver) return;
    const isBroken = this.#response.headersSent;
    const status = isBroken ? this.#response.statusCode : undefined;
    this.#end({ status, own: answer, isBroken });
    this.#upstream?.destroy();
    sendOwn(this.#response, answer);
    this.#message.resume();
  }

  #clientGone(): void {
    if (this.#isOver) return;
    this.#end({ status: undefined, own: undefined, isBroken: true });
    this.#upstream?.destroy();
  }

  #wait(timeoutMs: number, why: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#own({ code: 'upstream_timeout', message: `The other end ${why}.` });
    }, timeoutMs);
    this.#timer.unref();
  }

  #end(end: RelayEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#resolve(end);
  }
}

/** False where node:http would not write such a head; nothing is written then. */
function writeHead(
  response: ServerResponse,
  answer: IncomingMessage,
  isBodiless: boolean,
): boolean {
  const fields = answerFields(answer.rawHeaders);
  const isChunked = answer.headers['transfer-encoding'] !== undefined && !isBodiless;
  const kept = isChunked ? fields : withoutTrailerList(fields);
  try {
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', kept);
    return true;
  } catch {
    return false;
  }
}

/** A list of trailers announces what only a chunked body can have. */
function withoutTrailerList(flat: readonly string[]): string[] {
  return flat.filter((_, index) => flat[index - (index % 2)]?.toLowerCase() !== 'trailer');
}

function pairsOf(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    pairs.push([flat[index] ?? '', flat[index + 1] ?? '']);
  }
  return pairs;
}

function objectOf(raw: readonly string[]): Record<string, string[]> {
  const fields: Record<string, string[]> = {};
  for (const [name, value] of pairsOf(answerFields(raw))) {
    const key = name.toLowerCase();
    (fields[key] ??= []).push(value);
  }
  return fields;
}
