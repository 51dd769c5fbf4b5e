import type { Result } from '@postern/core/base';
import { concatBytes, err, ok, utf8 } from '@postern/core/base';
import type { DialectName } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { ModelInfo } from '@postern/core/routing';
import type { Provider, ProviderCall } from '@postern/server/gateway';
import type { CallSignal, OutboundAnswer } from '@postern/server/http';

/** An upstream's answer that a test writes piece by piece, before or while it is read. */
export class FakeAnswer implements OutboundAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
  isCancelled = false;
  /** Pieces that were taken. */
  taken = 0;
  readonly #pieces: Uint8Array[] = [];
  #isEnded = false;
  #failure: Refusal | undefined;
  #wake: (() => void) | undefined;

  constructor(
    contentType = 'application/json',
    status = 200,
    headers: Readonly<Record<string, string>> = {},
  ) {
    this.status = status;
    this.headers = { 'content-type': contentType, ...headers };
    this.body = { [Symbol.asyncIterator]: () => this.#read() };
  }

  write(...pieces: readonly string[]): this {
    this.#pieces.push(...pieces.map(utf8));
    this.#notify();
    return this;
  }

  /** The end of the body; a failure means that it broke off here. */
  end(failure?: Refusal): this {
    this.#isEnded = true;
    this.#failure ??= failure;
    this.#notify();
    return this;
  }

  failure(): Refusal | undefined {
    return this.#failure;
  }

  async readAll(bytesMax: number): Promise<Result<Uint8Array, Refusal>> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.body) pieces.push(piece);
    if (this.#failure !== undefined) return err(this.#failure);
    const whole = concatBytes(...pieces);
    return whole.length > bytesMax ? refuse('upstream_error', 'too large') : ok(whole);
  }

  cancel(): void {
    this.isCancelled = true;
    if (this.#isEnded) return;
    this.#pieces.length = 0;
    this.end(refusal('upstream_unavailable', 'the call was cancelled'));
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const piece = this.#pieces.shift();
        if (piece !== undefined) {
          this.taken += 1;
          yield piece;
        } else if (this.#isEnded) {
          return;
        } else {
          // oxlint-disable-next-line no-await-in-loop -- waits for the next piece
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.cancel();
    }
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

export type Reaction = FakeAnswer | Refusal | ((call: ProviderCall) => FakeAnswer | Refusal);

export interface FakeProvider extends Provider {
  readonly calls: readonly ProviderCall[];
  /** How the calls to come are answered, in order; a call without one hangs until it is aborted. */
  expect(...reactions: readonly Reaction[]): void;
  listing: () => Promise<Result<readonly ModelInfo[], Refusal>>;
  readonly lists: number;
}

export interface FakeProviderOptions {
  readonly id: string;
  readonly dialects?: readonly DialectName[];
  readonly models?: readonly string[];
  readonly countsTokens?: boolean;
}

/** A provider that answers as it is told, cuts its answers on abort, and keeps every call. */
export function createFakeProvider(options: FakeProviderOptions): FakeProvider {
  const calls: ProviderCall[] = [];
  const reactions: Reaction[] = [];
  let lists = 0;
  const provider: FakeProvider = {
    id: options.id,
    dialects: options.dialects ?? ['openai-chat'],
    sendsUnlisted: false,
    countsTokens: options.countsTokens ?? false,
    place: 'in memory',
    calls,
    expect: (...more) => {
      reactions.push(...more);
    },
    listing: () => Promise.resolve(ok((options.models ?? ['up']).map((id) => ({ id })))),
    get lists() {
      return lists;
    },
    list: () => {
      lists += 1;
      return provider.listing();
    },
    call: (call) => {
      calls.push(call);
      const next = reactions.shift();
      const reaction = typeof next === 'function' ? next(call) : next;
      return reaction === undefined
        ? untilAborted(call.signal)
        : Promise.resolve(react(call, reaction));
    },
  };
  return provider;
}

function react(
  call: ProviderCall,
  reaction: FakeAnswer | Refusal,
): Result<OutboundAnswer, Refusal> {
  if (!(reaction instanceof FakeAnswer)) return err(reaction);
  if (call.signal.aborted) reaction.cancel();
  call.signal.addEventListener('abort', () => reaction.cancel(), { once: true });
  return ok(reaction);
}

function untilAborted(signal: CallSignal): Promise<Result<OutboundAnswer, Refusal>> {
  return new Promise((resolve) => {
    const gone = (): void => resolve(refuse('upstream_unavailable', 'the call was cancelled'));
    if (signal.aborted) gone();
    else signal.addEventListener('abort', gone, { once: true });
  });
}
