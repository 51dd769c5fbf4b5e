import type { IncomingMessage } from 'node:http';
import { assert, ok, type Result } from '@postern/core/base';
import { type Refusal, refuse } from '@postern/core/errors';
import type { HttpLimits } from './limits.ts';

type Outcome = Result<Uint8Array, Refusal>;

const encodingRefusal = 'the request body has a Content-Encoding';
const goneRefusal = 'the connection ended before the request body did';

/** Reads one request body: bounded, and in a bounded time whatever the pace of the sender. */
export class BodyReader {
  readonly #message: IncomingMessage;
  readonly #limits: HttpLimits;
  #started = false;

  constructor(message: IncomingMessage, limits: HttpLimits) {
    this.#message = message;
    this.#limits = limits;
  }

  async read(bytesMax: number): Promise<Outcome> {
    assert(!this.#started, 'a request body is read once');
    this.#started = true;
    const headers = this.#message.headers;
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      return refuse('unsupported_encoding', encodingRefusal);
    }
    if (Number(headers['content-length'] ?? 0) > bytesMax) return tooLarge(bytesMax);
    if (this.#message.destroyed && !this.#message.readableEnded) {
      return refuse('malformed_http', goneRefusal);
    }
    return this.#message.complete ? this.#take(bytesMax) : await this.#collect(bytesMax);
  }

  /** All of it is here already, as with every small request: no timers, no events. */
  #take(bytesMax: number): Outcome {
    if (this.#message.readableLength > bytesMax) return tooLarge(bytesMax);
    const body: unknown = this.#message.read();
    return ok(body instanceof Uint8Array ? body : new Uint8Array(0));
  }

  #collect(bytesMax: number): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const message = this.#message;
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    const settle = (outcome: Outcome): void => {
      clearTimeout(pause);
      clearTimeout(whole);
      message.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
      // Errors after the outcome concern nobody: the connection's own listeners see them.
      message.on('error', ignore);
      message.pause();
      resolve(outcome);
    };
    const late = (): void => settle(timedOut());
    const pause = setTimeout(late, this.#limits.bodyPauseMsMax);
    const whole = setTimeout(late, this.#limits.bodyMsMax);
    const onData = (piece: Uint8Array): void => {
      pause.refresh();
      bytes += piece.length;
      if (bytes > bytesMax) settle(tooLarge(bytesMax));
      else pieces.push(piece);
    };
    const onEnd = (): void => settle(ok(joined(pieces, bytes)));
    const onGone = (): void => settle(refuse('malformed_http', goneRefusal));
    message.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
    return promise;
  }
}

function ignore(): void {
  // Nobody waits for this body any more.
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces, bytes);
}

function tooLarge(bytesMax: number): Outcome {
  return refuse('body_too_large', `the request body is larger than ${bytesMax} bytes`);
}

function timedOut(): Outcome {
  return refuse('request_timeout', 'the request body did not arrive in time');
}
