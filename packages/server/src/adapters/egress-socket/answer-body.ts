import { assert, err, ok, type Result } from '@postern/core/base';
import { type Refusal, refuse } from '@postern/core/errors';
import type { BodyFlow, BodySink, OutboundAnswer } from '../../http/index.ts';

/** How a body acts on the call that it belongs to. */
export interface BodySource {
  pause(): void;
  resume(): void;
  cancel(): void;
}

/** The body of an answer between the socket and its one reader, who pulls it, takes it whole, or has it pushed. */
export class AnswerBody {
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

  constructor(source: BodySource, bufferedBytesMax: number) {
    this.#source = source;
    this.#bufferedBytesMax = bufferedBytesMax;
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
      if (this.#buffered >= this.#bufferedBytesMax) this.#pause();
      this.#wakeReader();
    }
  }

  /** No more comes. What was not read of a broken body is dropped: it would only be half of something. */
  end(failure: Refusal | undefined): void {
    this.#isOver = true;
    this.#failure = failure;
    if (failure !== undefined) this.#pieces.length = 0;
    else this.#resume();
    this.#sink?.end();
    this.#wakeReader();
  }

  answer(status: number, headers: Readonly<Record<string, string>>): OutboundAnswer {
    return {
      status,
      headers,
      body: { [Symbol.asyncIterator]: () => this.#read() },
      failure: () => this.#failure,
      readAll: (bytesMax) => this.#readAll(bytesMax),
      flow: (sink) => this.#flow(sink),
      cancel: () => this.#source.cancel(),
    };
  }

  #flow(sink: BodySink): BodyFlow {
    this.#take();
    const flow = { pause: () => this.#pause(), resume: () => this.#resume() };
    this.#resume();
    const early = this.#pieces;
    this.#pieces = [];
    this.#buffered = 0;
    this.#sink = sink;
    for (const piece of early) sink.piece(piece);
    if (this.#isOver) sink.end();
    return flow;
  }

  async *#read(): AsyncGenerator<Uint8Array, void, void> {
    if (this.#taken) return;
    this.#taken = true;
    try {
      for (;;) {
        const piece = this.#pieces.shift();
        if (piece !== undefined) {
          this.#buffered -= piece.length;
          if (this.#buffered < this.#bufferedBytesMax) this.#resume();
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

  async #readAll(bytesMax: number): Promise<Result<Uint8Array, Refusal>> {
    this.#take();
    this.#wanted = bytesMax;
    this.#resume();
    while (!this.#isOver && this.#buffered <= bytesMax) {
      // oxlint-disable-next-line no-await-in-loop -- woken at the end, or where it is too much
      await this.#more();
    }
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

  #pause(): void {
    // After the end the socket may belong to another call already.
    if (this.isPaused || this.#isOver) return;
    this.isPaused = true;
    this.#source.pause();
  }

  #resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.#source.resume();
  }
}
