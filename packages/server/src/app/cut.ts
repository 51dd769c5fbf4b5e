import type { Result, Soon } from '@postern/core/base';
import { andThen, assert, err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { Provider, ProviderCall } from '../gateway/index.ts';
import type { BodyFlow, BodySink, CallSignal, OutboundAnswer, Rolled } from '../http/index.ts';
import { Leaving, Roll } from '../http/index.ts';

/**
 * A provider whose calls end when `cut` is aborted, in words that name the shutdown. A relay that sees its upstream
 * fail tells its caller so in the caller's format; a socket that is closed under it would tell nobody anything.
 */
export function cutWith(cut: AbortSignal, provider: Provider): Provider {
  // One listener for all calls: a list of thousands of them is walked at each call.
  const open = new Roll<Link>();
  const state = { isCut: cut.aborted };
  cut.addEventListener('abort', () => {
    state.isCut = true;
    open.each((link) => link.abort());
  });
  return {
    ...provider,
    call: (call: ProviderCall) => {
      if (state.isCut) return err(shutDown());
      const link = new Link(open, call.signal);
      const { dialect, path, body, bytes, headers, endpoint } = call;
      const called = provider.call({
        dialect,
        path,
        body,
        bytes,
        headers,
        signal: link,
        endpoint,
      });
      return andThen(called, (answered) => {
        // A small answer comes with its head, and needs nobody who could still cut it.
        if (answered.ok && answered.value.isWhole !== true)
          return ok(new CutAnswer(state, answered.value, link));
        link.release();
        // The caller's own leaving is not our doing.
        return !answered.ok && state.isCut && !call.signal.aborted ? err(shutDown()) : answered;
      });
    },
  };
}

/** One call: over when its caller leaves, or when everything is cut. */
class Link extends Leaving implements Rolled {
  place = -1;
  readonly #open: Roll<Link>;
  readonly #caller: CallSignal;
  readonly #abort = (): void => this.abort();

  constructor(open: Roll<Link>, caller: CallSignal) {
    super();
    this.#open = open;
    this.#caller = caller;
    if (caller.aborted) this.abort();
    open.add(this);
    caller.addEventListener('abort', this.#abort);
  }

  /** Takes the call out: the roll lives as long as the process, a call does not. Safe to call twice. */
  release(): void {
    if (this.place === -1) return;
    this.#open.delete(this);
    this.#caller.removeEventListener('abort', this.#abort);
  }
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
  readonly #link: Link;
  #sink: BodySink | undefined;
  #isWhole = false;

  constructor(cut: Readonly<CutState>, answer: OutboundAnswer, link: Link) {
    this.status = answer.status;
    this.headers = answer.headers;
    this.#cut = cut;
    this.#answer = answer;
    this.#link = link;
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
      this.#link.release();
      return read.ok || !this.#cut.isCut ? read : err(shutDown());
    });
  }

  cancel(): void {
    this.#link.release();
    this.#answer.cancel();
  }

  piece(bytes: Uint8Array): void {
    if (!this.#cut.isCut) this.#sink?.piece(bytes);
  }

  end(): void {
    this.#isWhole = !this.#cut.isCut && this.#answer.failure() === undefined;
    this.#link.release();
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
      this.#link.release();
    }
  }
}

function shutDown(): Refusal {
  return refusal('draining', 'Postern is shutting down and ended this answer.');
}
