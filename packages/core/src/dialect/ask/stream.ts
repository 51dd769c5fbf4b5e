import { answerChars } from '../estimate.ts';
import type { SseFrame } from '../../base/index.ts';
import { encodeSse } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import type { AnswerContext, StreamDecoder, StreamEncoder, StreamWatcher } from '../dialect.ts';
import { Fields } from '../fields.ts';
import { frameReader, rawReader } from '../frame-reader.ts';
import type { StopReason, StreamEvent, Usage } from '../model.ts';
import { encodeErrorBody } from '../openai-chat/error.ts';
import { chunkOf } from '../openai-chat/stream-decode.ts';
import { usageOfOpenAi } from '../usage.ts';
import { decodeStop, encodeFacts, latencyOf } from './answer.ts';

/**
 * Streams of `/ask`: `data: {"delta": "…"}` for each piece of the answer; last, one frame with all the members of an
 * answer but `answer` itself, which the deltas spelled already. A stream without that last frame is broken. A failure
 * is `event: error` with OpenAI's envelope, and nothing after it.
 */

const nothing = new Uint8Array(0);

export function streamEncoder(context: AnswerContext): StreamEncoder {
  let model = context.model;
  let usage: Usage | undefined;
  let stop: StopReason = 'end';
  const encode = (event: StreamEvent): Uint8Array => {
    switch (event.kind) {
      case 'start':
        if (event.model !== '') model = event.model;
        return nothing;
      case 'block-delta': {
        const { delta } = event;
        const isSaid = delta.kind === 'text' || delta.kind === 'refusal';
        if (!isSaid || delta.text === '') return nothing;
        return encodeSse({ data: JSON.stringify({ delta: delta.text }) });
      }
      case 'block-start':
      case 'block-stop':
        return nothing;
      case 'usage':
        usage = event.usage;
        return nothing;
      case 'finish':
        stop = event.stop;
        return nothing;
      case 'end': {
        const facts = { model, latencyMs: latencyOf(context), usage, stop };
        return encodeSse({
          data: JSON.stringify(encodeFacts(facts, undefined, context.requestId)),
        });
      }
    }
  };
  return { encode };
}

export function encodeStreamRefusal(refusal: Refusal): Uint8Array {
  return encodeSse({ event: 'error', data: JSON.stringify(encodeErrorBody(refusal)) });
}

/** Reads the frames of another Postern's `/ask`. */
class AskReader {
  isDone = false;
  usage: Usage | undefined;
  deliveredChars = 0;
  #isStarted = false;

  read(frame: SseFrame, events: StreamEvent[]): void {
    const chunk = this.isDone ? undefined : chunkOf(frame);
    if (chunk === undefined) return;
    const fields = new Fields(chunk);
    const delta = fields.optionalText('delta');
    if (!this.#isStarted) this.#start(fields, events);
    if (delta !== undefined) {
      this.deliveredChars += answerChars(delta);
      events.push({ kind: 'block-delta', index: 0, delta: { kind: 'text', text: delta } });
      return;
    }
    this.isDone = true;
    this.usage = usageOfOpenAi(fields.raw('usage'));
    events.push({ kind: 'block-stop', index: 0 });
    if (this.usage !== undefined) events.push({ kind: 'usage', usage: this.usage });
    events.push({ kind: 'finish', stop: decodeStop(fields) }, { kind: 'end' });
  }

  /** The deltas come before the names do, so a stream starts with none. */
  #start(fields: Fields, events: StreamEvent[]): void {
    this.#isStarted = true;
    const id = fields.optionalText('request_id') ?? '';
    const model = fields.optionalText('model') ?? '';
    events.push(
      { kind: 'start', id, model },
      { kind: 'block-start', index: 0, block: { kind: 'text' } },
    );
  }
}

export function streamDecoder(): StreamDecoder {
  const reader = new AskReader();
  return frameReader<StreamEvent>({
    read: (frame, events) => reader.read(frame, events),
    isDone: () => reader.isDone,
  });
}

export function streamWatcher(): StreamWatcher {
  const reader = new AskReader();
  const raw = rawReader({
    read(frame, out) {
      reader.read(frame, []);
      out.push(frame.raw);
    },
    isDone: () => reader.isDone,
  });
  return { ...raw, usage: () => reader.usage, deliveredChars: () => reader.deliveredChars };
}
