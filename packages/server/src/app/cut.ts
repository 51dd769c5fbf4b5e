import type { Result, Soon } from '@postern/core/base';
import { andThen, assert, err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { Provider, ProviderCall } from '../gateway/index.ts';
import type { BodyFlow, BodySink, CallSignal, OutboundAnswer } from '../http/index.ts';
import { Leaving } from '../http/index.ts';

/**
 * A provider whose calls end when `cut` is aborted, in words that name the shutdown. A relay that sees its upstream
 * fail tells its caller so in the caller's format; a socket that is closed under it would tell nobody anything.
 */
export function cutWith(cut: AbortSignal, provider: Provider): Provider {
  // One listener for all calls: a list of thousands of them is walked at each call.
  const open = new Set<() => void>();
  const state = { isCut: cut.aborted };
  cut.addEventListener('abort', () => {
    state.isCut = true;
    for (const abort of open) abort();
  });
  return {
    ...provider,
    call: (call: ProviderCall) => {
      if (state.isCut) return err(shutDown());
      const link = linked(open, call.signal);
      const { dialect, path, body, headers, endpoint } = call;
      const { signal } = link;
      const called = provider.call({
        dialect,
        path,
        body,
        headers,
        signal,
        ...(endpoint === undefined ? {} : { endpoint }),
      });
      return andThen(called, (answered) => {
        if (answered.ok) return ok(new CutAnswer(state, answered.value, link.release));
        link.release();
        // The caller's own leaving is not our doing.
        return state.isCut && !call.signal.aborted ? err(shutDown()) : answered;
      });
    },
  };
}

interface Link {
  readonly signal: CallSignal;
  /** Takes the call out: `cut` lives as long as the process, a call does not. */
  readonly release: () => void;
}

function linked(open: Set<() => void>, caller: CallSignal): Link {
  const either = new Leaving();
  const abort = (): void => either.abort();
  if (caller.aborted) abort();
  open.add(abort);
  caller.addEventListener('abort', abort);
  return {
    signal: either,
    release: () => {
      open.delete(abort);
      caller.removeEventListener('abort', abort);
    },
  };
}

/** Whether the process has cut everything; asked for each piece of each stream. */
interface CutState {
  isCut: boolean;
}

/** An answer that ends when everything is cut; the body of one that was whole by then stays whole. */
class CutAnswer implements OutboundAnswer, BodySink {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly flow?: NonNullable<OutboundAnswer['flow']>;
  readonly #cut: Readonly<CutState>;
  readonly #answer: OutboundAnswer;
  readonly #release: () => void;
  #sink: BodySink | undefined;
  #isWhole = false;

  constructor(cut: Readonly<CutState>, answer: OutboundAnswer, release: () => void) {
    this.status = answer.status;
    this.headers = answer.headers;
    this.#cut = cut;
    this.#answer = answer;
    this.#release = release;
    if (answer.flow !== undefined) this.flow = (sink) => this.#flow(sink);
  }

  get body(): AsyncIterable<Uint8Array> {
    return { [Symbol.asyncIterator]: () => this.#read() };
  }

  failure(): Refusal | undefined {
    return this.#cut.isCut && !this.#isWhole ? shutDown() : this.#answer.failure();
  }

  readAll(bytesMax: number): Soon<Result<Uint8Array, Refusal>> {
    return andThen(this.#answer.readAll(bytesMax), (read) => {
      this.#release();
      return read.ok || !this.#cut.isCut ? read : err(shutDown());
    });
  }

  cancel(): void {
    this.#release();
    this.#answer.cancel();
  }

  piece(bytes: Uint8Array): void {
    if (!this.#cut.isCut) this.#sink?.piece(bytes);
  }

  end(): void {
    this.#isWhole = !this.#cut.isCut && this.#answer.failure() === undefined;
    this.#release();
    this.#sink?.end();
  }

  #flow(sink: BodySink): BodyFlow {
    this.#sink = sink;
    const flow = this.#answer.flow?.(this);
    assert(flow !== undefined, 'only an answer that can push its body is asked to');
    return flow;
  }

  async *#read(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for await (const piece of this.#answer.body) {
        if (this.#cut.isCut) return;
        yield piece;
      }
      this.#isWhole = !this.#cut.isCut && this.#answer.failure() === undefined;
    } finally {
      this.#release();
    }
  }
}

function shutDown(): Refusal {
  return refusal('draining', 'Postern is shutting down and ended this answer.');
}
