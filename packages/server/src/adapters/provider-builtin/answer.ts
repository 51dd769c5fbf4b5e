import type { Result } from '@postern/core/base';
import { concatBytes, err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { CallSignal, OutboundAnswer } from '../../http/index.ts';

export const cancelled = refusal('upstream_unavailable', 'the call was cancelled', {
  detail: { stage: 'cancelled' },
});

/** An answer from memory with the manners of one from a network: read once, and cut by whoever cancels or aborts. */
export class PreparedAnswer implements OutboundAnswer {
  readonly status = 200;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
  readonly #pieces: Uint8Array[];
  readonly #signal: CallSignal;
  #failure: Refusal | undefined;

  constructor(contentType: string, pieces: readonly Uint8Array[], signal: CallSignal) {
    this.headers = { 'content-type': contentType };
    this.body = { [Symbol.asyncIterator]: () => this.#read() };
    this.#pieces = [...pieces];
    this.#signal = signal;
  }

  failure(): Refusal | undefined {
    return this.#failure;
  }

  async readAll(bytesMax: number): Promise<Result<Uint8Array, Refusal>> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of this.body) {
      bytes += piece.length;
      if (bytes > bytesMax) {
        return refuse('upstream_error', `the answer is larger than ${bytesMax} bytes`);
      }
      pieces.push(piece);
    }
    return this.#failure === undefined ? ok(concatBytes(...pieces)) : err(this.#failure);
  }

  cancel(): void {
    if (this.#pieces.length > 0) this.#failure ??= cancelled;
    this.#pieces.length = 0;
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        // A turn of the event loop for each word: a stream that yields to others like one from a network.
        // oxlint-disable-next-line no-await-in-loop -- one piece after the other is the point
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        if (this.#signal.aborted) this.cancel();
        const piece = this.#pieces.shift();
        if (piece === undefined) return;
        yield piece;
      }
    } finally {
      // A reader that leaves early wants no more of it.
      this.cancel();
    }
  }
}
