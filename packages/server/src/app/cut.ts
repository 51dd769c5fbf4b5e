import type { Result } from '@postern/core/base';
import { err } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { Provider, ProviderCall } from '../gateway/index.ts';
import type { BodyFlow, BodySink, OutboundAnswer } from '../http/index.ts';

/**
 * A provider whose calls end when `cut` is aborted, in words that name the shutdown. A relay that sees its upstream
 * fail tells its caller so in the caller's format; a socket that is closed under it would tell nobody anything.
 */
export function cutWith(cut: AbortSignal, provider: Provider): Provider {
  // One listener for all calls: a list of thousands of them is walked at each call.
  const open = new Set<() => void>();
  cut.addEventListener('abort', () => {
    for (const abort of open) abort();
  });
  return {
    ...provider,
    async call(call: ProviderCall) {
      if (cut.aborted) return err(shutDown());
      const link = linked(open, call.signal);
      const answered = await provider.call({ ...call, signal: link.signal });
      if (answered.ok) return { ok: true, value: cutAnswer(cut, answered.value, link.release) };
      link.release();
      // The caller's own leaving is not our doing.
      return cut.aborted && !call.signal.aborted ? err(shutDown()) : answered;
    },
  };
}

interface Link {
  readonly signal: AbortSignal;
  /** Takes the call out: `cut` lives as long as the process, a call does not. */
  readonly release: () => void;
}

function linked(open: Set<() => void>, caller: AbortSignal): Link {
  const either = new AbortController();
  const abort = (): void => either.abort();
  if (caller.aborted) abort();
  open.add(abort);
  caller.addEventListener('abort', abort);
  return {
    signal: either.signal,
    release: () => {
      open.delete(abort);
      caller.removeEventListener('abort', abort);
    },
  };
}

function cutAnswer(cut: AbortSignal, answer: OutboundAnswer, release: () => void): OutboundAnswer {
  let isWhole = false;
  async function* body(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for await (const piece of answer.body) {
        if (cut.aborted) return;
        yield piece;
      }
      isWhole = !cut.aborted && answer.failure() === undefined;
    } finally {
      release();
    }
  }
  const flowOf =
    (flow: NonNullable<OutboundAnswer['flow']>) =>
    (sink: BodySink): BodyFlow =>
      flow({
        piece: (bytes) => {
          if (!cut.aborted) sink.piece(bytes);
        },
        end: () => {
          isWhole = !cut.aborted && answer.failure() === undefined;
          release();
          sink.end();
        },
      });
  return {
    status: answer.status,
    headers: answer.headers,
    body: { [Symbol.asyncIterator]: body },
    failure: () => (cut.aborted && !isWhole ? shutDown() : answer.failure()),
    readAll: async (bytesMax): Promise<Result<Uint8Array, Refusal>> => {
      const read = await answer.readAll(bytesMax);
      release();
      return read.ok || !cut.aborted ? read : err(shutDown());
    },
    ...(answer.flow === undefined ? {} : { flow: flowOf(answer.flow) }),
    cancel: () => {
      release();
      answer.cancel();
    },
  };
}

function shutDown(): Refusal {
  return refusal('draining', 'Postern is shutting down and ended this answer.');
}
