import { assert, ok, type Result, type Soon } from '@postern/core/base';
import { type Refusal, refuse } from '@postern/core/errors';
import type { HttpLimits } from '../limits.ts';

type Outcome = Result<Uint8Array, Refusal>;

/** The body of one request, of a length that is known: whole at once, or collected in a bounded time. */
export class FastBody {
  readonly #limits: HttpLimits;
  readonly #length: number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #isRead = false;
  #isDropped = false;
  #isGone = false;
  #settle: ((outcome: Outcome) => void) | undefined;
  #pause: NodeJS.Timeout | undefined;

  constructor(length: number, limits: HttpLimits) {
    this.#length = length;
    this.#limits = limits;
  }

  get isComplete(): boolean {
    return this.#bytes === this.#length;
  }

  /** Takes what belongs to the body and tells how much of the bytes that was. */
  push(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + this.#length - this.#bytes);
    if (end === from) return from;
    this.#bytes += end - from;
    if (!this.#isDropped) {
      this.#pieces.push(from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end));
    }
    if (this.isComplete) this.#settle?.(this.#whole());
    else this.#pause?.refresh();
    return end;
  }

  /** The connection ended. */
  gone(): void {
    this.#isGone = true;
    if (!this.isComplete) this.#settle?.(gone());
  }

  /** Nobody wants it any more: what still comes is counted and dropped. */
  drop(): void {
    this.#isDropped = true;
    this.#pieces = [];
  }

  read(bytesMax: number): Soon<Outcome> {
    assert(!this.#isRead, 'a request body is read once');
    this.#isRead = true;
    if (this.#length > bytesMax) {
      this.drop();
      const why = `the request body is larger than ${bytesMax} bytes`;
      return refuse('body_too_large', why);
    }
    if (this.#isGone) return gone();
    if (this.isComplete) return this.#whole();
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const late = (): void => {
      this.drop();
      this.#settle?.(refuse('request_timeout', 'the request body did not arrive in time'));
    };
    const whole = setTimeout(late, this.#limits.bodyMsMax);
    this.#pause = setTimeout(late, this.#limits.bodyPauseMsMax);
    this.#settle = (outcome) => {
      clearTimeout(whole);
      clearTimeout(this.#pause);
      this.#settle = undefined;
      this.#pause = undefined;
      resolve(outcome);
    };
    return promise;
  }

  #whole(): Outcome {
    const [only] = this.#pieces;
    const isOne = this.#pieces.length === 1 && only !== undefined;
    const whole = isOne ? only : Buffer.concat(this.#pieces, this.#bytes);
    // A body is read once, and the answer to it may be a stream of an hour.
    this.#pieces = [];
    return ok(whole);
  }
}

function gone(): Outcome {
  return refuse('malformed_http', 'the connection ended before the request body did');
}
