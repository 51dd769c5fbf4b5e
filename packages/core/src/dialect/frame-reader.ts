import type { Result, SseFrame } from '../base/index.ts';
import { SseDecoder, concatBytes, err, ok } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import { upstreamAttempt } from './upstream-attempt.ts';
import { protocolRefusal, truncatedRefusal } from './upstream-error.ts';

/** How a dialect reads its frames: it appends what a frame means, or raises a refusal. */
export interface FrameMeaning<T> {
  read(frame: SseFrame, out: T[]): void;
  /** Was the frame seen that ends a whole stream? */
  isDone(): boolean;
}

export interface FrameReader<T> {
  push(bytes: Uint8Array): Result<readonly T[], Refusal>;
  finish(): Result<readonly T[], Refusal>;
}

/**
 * Runs a dialect's reader over a stream in any split. What stood before a failure is given first and the failure with
 * the next call, so that nothing that arrived is lost because it shared a packet with an error.
 */
export function frameReader<T>(meaning: FrameMeaning<T>): FrameReader<T> {
  const sse = new SseDecoder();
  let failure: Refusal | undefined;

  const take = (frames: readonly SseFrame[]): Result<readonly T[], Refusal> => {
    const out: T[] = [];
    for (const frame of frames) {
      const result = upstreamAttempt(() => meaning.read(frame, out));
      if (result.ok) continue;
      failure = result.error;
      return out.length > 0 ? ok(out) : result;
    }
    return ok(out);
  };

  return {
    push(bytes) {
      if (failure !== undefined) return err(failure);
      const frames = sse.push(bytes);
      if (frames.ok) return take(frames.value);
      failure = protocolRefusal(frames.error.message.replace(/\.$/, ''));
      return err(failure);
    },
    finish() {
      if (failure !== undefined) return err(failure);
      const rest = sse.rest();
      const last = take(rest === undefined ? [] : [rest]);
      if (failure !== undefined) return err(failure);
      return meaning.isDone() ? last : err(truncatedRefusal());
    },
  };
}

/** The same over the frames' own bytes, for streams that pass through. */
export function rawReader(meaning: FrameMeaning<Uint8Array>): FrameReaderOfBytes {
  const reader = frameReader(meaning);
  return {
    push: (bytes) => joined(reader.push(bytes)),
    finish: () => joined(reader.finish()),
  };
}

export interface FrameReaderOfBytes {
  push(bytes: Uint8Array): Result<Uint8Array, Refusal>;
  finish(): Result<Uint8Array, Refusal>;
}

function joined(pieces: Result<readonly Uint8Array[], Refusal>): Result<Uint8Array, Refusal> {
  if (!pieces.ok) return pieces;
  const [only] = pieces.value;
  return ok(pieces.value.length === 1 && only !== undefined ? only : concatBytes(...pieces.value));
}
