import type { Result, SseFrame } from '../base/index.ts';
import { SseDecoder, err, ok } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import { joinBytes } from './join-bytes.ts';
import { upstreamAttempt } from './upstream-attempt.ts';
import { protocolRefusal, truncatedRefusal } from './upstream-error.ts';

/** How a dialect reads its frames: it appends what a frame means, or raises a refusal. */
export interface FrameMeaning<T, F = SseFrame> {
  read(frame: F, out: T[]): void;
  /** Was the frame seen that ends a whole stream? */
  isDone(): boolean;
}

export interface FrameReader<T> {
  push(bytes: Uint8Array): Result<readonly T[], Refusal>;
  finish(): Result<readonly T[], Refusal>;
}

/** Cuts a stream's bytes into frames. */
export interface Framing<F> {
  /** The frames that these bytes complete, and the sentence of a breach that follows them. */
  push(bytes: Uint8Array): { readonly frames: readonly F[]; readonly breach: string | undefined };
  /** What the end of the stream makes of an unfinished frame: the frame, or `cut` where it is lost. */
  rest(): F | 'cut' | undefined;
}

function sseFraming(): Framing<SseFrame> {
  const sse = new SseDecoder();
  return {
    push(bytes) {
      const frames = sse.push(bytes);
      return frames.ok
        ? { frames: frames.value, breach: undefined }
        : { frames: [], breach: frames.error.message.replace(/\.$/, '') };
    },
    rest: () => sse.rest(),
  };
}

/** Runs a dialect's reader over server-sent events. */
export function frameReader<T>(meaning: FrameMeaning<T>): FrameReader<T> {
  return readerOf(sseFraming(), meaning);
}

/**
 * Runs a dialect's reader over a stream in any split. What stood before a failure is given first and the failure with
 * the next call, so that nothing that arrived is lost because it shared a packet with an error.
 */
export function readerOf<T, F>(framing: Framing<F>, meaning: FrameMeaning<T, F>): FrameReader<T> {
  let failure: Refusal | undefined;

  const take = (frames: readonly F[]): Result<readonly T[], Refusal> => {
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
      const { frames, breach } = framing.push(bytes);
      const taken = take(frames);
      if (breach === undefined || failure !== undefined) return taken;
      failure = protocolRefusal(breach);
      return taken.ok && taken.value.length > 0 ? taken : err(failure);
    },
    finish() {
      if (failure !== undefined) return err(failure);
      const rest = framing.rest();
      if (rest === 'cut') return err(truncatedRefusal());
      const last = take(rest === undefined ? [] : [rest]);
      if (failure !== undefined) return err(failure);
      return meaning.isDone() ? last : err(truncatedRefusal());
    },
  };
}

/** The same over the frames' own bytes, for streams that pass through. */
export function rawReader(meaning: FrameMeaning<Uint8Array>): FrameReaderOfBytes {
  return bytesOf(frameReader(meaning));
}

/** The pieces that a reader gives, joined. */
export function bytesOf(reader: FrameReader<Uint8Array>): FrameReaderOfBytes {
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
  return ok(joinBytes(pieces.value));
}
