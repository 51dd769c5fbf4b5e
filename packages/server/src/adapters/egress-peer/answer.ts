import type { IncomingMessage } from 'node:http';
import { err, ok, type Result } from '@postern/core/base';
import { type Refusal, refusal } from '@postern/core/errors';
import type { OutboundAnswer } from '../../http/index.ts';

export interface AnswerOptions {
  readonly message: IncomingMessage;
  /** Between two pieces. */
  readonly idleMs: number;
  /** Told once, when nothing more comes. */
  readonly over: () => void;
}

/** An answer of a judged peer. It is whole only where its framing says so. */
export class PeerAnswer implements OutboundAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly #message: IncomingMessage;
  readonly #options: AnswerOptions;
  #failure: Refusal | undefined;
  #isCut = false;

  constructor(options: AnswerOptions) {
    const { message } = options;
    this.#message = message;
    this.#options = options;
    this.status = message.statusCode ?? 0;
    this.headers = joined(message);
    message.once('close', options.over);
  }

  get body(): AsyncIterable<Uint8Array> {
    return { [Symbol.asyncIterator]: () => this.#read() };
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
        this.cancel();
        return err(refusal('upstream_error', `The upstream's answer is over ${bytesMax} bytes.`));
      }
      pieces.push(piece);
    }
    return this.#failure === undefined ? ok(Buffer.concat(pieces)) : err(this.#failure);
  }

  /** Ends it with this reason, unless it is over. */
  fail(why: Refusal): void {
    this.#failure ??= why;
    this.cancel();
  }

  cancel(): void {
    this.#isCut = true;
    this.#message.destroy();
  }

  async *#read(): AsyncGenerator<Uint8Array, void, void> {
    const message = this.#message;
    let timer: NodeJS.Timeout | undefined;
    const arm = (): void => {
      clearTimeout(timer);
      timer = setTimeout(
        () => this.fail(refusal('upstream_timeout', 'The upstream went silent in its answer.')),
        this.#options.idleMs,
      );
    };
    try {
      arm();
      for await (const piece of message) {
        clearTimeout(timer);
        // Without an encoding, node:http gives bytes.
        yield piece as Uint8Array;
        arm();
      }
    } catch {
      this.#failure ??= broken();
    } finally {
      clearTimeout(timer);
    }
    if (!message.complete && !this.#isCut) this.#failure ??= broken();
  }
}

function broken(): Refusal {
  return refusal('upstream_error', 'The upstream broke off in the middle of its answer.');
}

function joined({ rawHeaders }: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const value = rawHeaders[at + 1] ?? '';
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return headers;
}
