import { andThen, assert, err, ok, type Result, type Soon } from '@postern/core/base';
import { type Refusal, refuse } from '@postern/core/errors';
import type { BodyFlow, BodySink, OutboundAnswer } from '../../http/index.ts';

/** How a body acts on the call that it belongs to. */
export interface BodySource {
  pause(): void;
  resume(): void;
  cancel(): void;
}

/** An answer whose body stands between the socket and its one reader, who pulls it, takes it whole, or has it pushed. */
export class AnswerBody implements OutboundAnswer, BodyFlow {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly #source: BodySource;
  readonly #bufferedBytesMax: number;
  #pieces: Uint8Array[] = [];
  #buffered = 0;
  #isOver = false;
  #failure: Refusal | undefined;
  #taken = false;
  #sink: BodySink | undefined;
  #wake: (() => void) | undefined;
  /** Bytes that a reader of the whole wants at most; it never makes the upstream wait. */
  #wanted = 0;
  isPaused = false;

  constructor(
    head: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
    source: BodySource,
    bufferedBytesMax: number,
  ) {
    this.status = head.status;
    this.headers = head.headers;
    this.#source = source;
    this.#bufferedBytesMax = bufferedBytesMax;
  }

  /** Each piece goes on as it comes. */
  get isPushed(): boolean {
    return this.#sink !== undefined;
  }

  get isWhole(): boolean {
    return this.#isOver && this.#failure === undefined;
  }

  push(piece: Uint8Array): void {
    if (this.#isOver || piece.length === 0) return;
    if (this.#sink !== undefined) {
      this.#sink.piece(piece);
      return;
    }
    this.#pieces.push(piece);
    this.#buffered += piece.length;
    if (this.#wanted > 0) {
      if (this.#buffered > this.#wanted) this.#wakeReader();
    } else {
      if (this.#buffered >= this.#bufferedBytesMax) this.pause();
      this.#wakeReader();
    }
  }

  /** No more comes. What was not read of a broken body is dropped: it would only be half of something. */
  end(failure: Refusal | undefined): void {
    this.#isOver = true;
    this.#failure = failure;
    if (failure !== undefined) this.#pieces.length = 0;
    else this.resume();
    this.#sink?.end();
    this.#wakeReader();
  }

  get body(): AsyncIterable<Uint8Array> {
    return { [Symbol.asyncIterator]: () => this.#read() };
  }

  failure(): Refusal | undefined {
    return this.#failure;
  }

  cancel(): void {
    this.#source.cancel();
  }

  flow(sink: BodySink): BodyFlow {
    this.#take();
    this.resume();
    const early = this.#pieces;
    this.#pieces = [];
    this.#buffered = 0;
    this.#sink = sink;
    for (const piece of early) sink.piece(piece);
    if (this.#isOver) sink.end();
    return this;
  }

  readAll(bytesMax: number): Soon<Result<Uint8Array, Refusal>> {
    this.#take();
    this.#wanted = bytesMax;
    this.resume();
    return andThen(this.#untilWhole(bytesMax), () => this.#whole(bytesMax));
  }

  pause(): void {
    // After the end the socket may belong to another call already.
    if (this.isPaused || this.#isOver) return;
    this.isPaused = true;
    this.#source.pause();
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.#source.resume();
  }

  async *#read(): AsyncGenerator<Uint8Array, void, void> {
    if (this.#taken) return;
    this.#taken = true;
    try {
      for (;;) {
        const piece = this.#pieces.shift();
        if (piece !== undefined) {
          this.#buffered -= piece.length;
          if (this.#buffered < this.#bufferedBytesMax) this.resume();
          yield piece;
        } else if (this.#isOver) {
          return;
        } else {
          // oxlint-disable-next-line no-await-in-loop -- waits for the next piece
          await this.#more();
        }
      }
    } finally {
      // A reader that leaves early wants no more of it.
      this.#source.cancel();
    }
  }

  /** Woken at the end, or where it is too much. */
  #untilWhole(bytesMax: number): Soon<void> {
    if (this.#isOver || this.#buffered > bytesMax) return undefined;
    return this.#more().then(() => this.#untilWhole(bytesMax));
  }

  #whole(bytesMax: number): Result<Uint8Array, Refusal> {
    if (this.#failure !== undefined) return err(this.#failure);
    if (this.#buffered > bytesMax) {
      this.#source.cancel();
      return refuse('upstream_error', `the answer is larger than ${bytesMax} bytes`);
    }
    const [only] = this.#pieces;
    const isOne = this.#pieces.length === 1 && only !== undefined;
    return ok(isOne ? only : Buffer.concat(this.#pieces, this.#buffered));
  }

  #take(): void {
    assert(!this.#taken, 'an answer is read once');
    this.#taken = true;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
