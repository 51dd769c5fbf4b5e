import type { JsonObject, JsonValue, SseFrame } from '../../base/index.ts';
import { concatBytes, encodeSse } from '../../base/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { AnswerContext, StreamDecoder, StreamEncoder, StreamWatcher } from '../dialect.ts';
import { Fields, defined } from '../fields.ts';
import { frameReader } from '../frame-reader.ts';
import type { StreamEvent, Usage } from '../model.ts';
import { createdOf } from '../openai-chat/answer.ts';
import { decodeStop } from '../openai-chat/stop.ts';
import { chunkOf } from '../openai-chat/stream-decode.ts';
import { doneFrame } from '../openai-chat/stream-encode.ts';
import { charsOf } from '../estimate.ts';
import { openAiWatcher } from '../openai-chat/stream-watch.ts';
import { protocolRefusal } from '../upstream-error.ts';
import { usageForOpenAi, usageOfOpenAi } from '../usage.ts';
import { completionId, finishReason, plain } from './answer.ts';

/** Streams of OpenAI's completions route: pieces of one text, then `[DONE]`. */

const nothing = new Uint8Array(0);

export function streamDecoder(): StreamDecoder {
  const reader = new TextReader();
  return frameReader<StreamEvent>({
    read: (frame, events) => reader.read(frame, events),
    isDone: () => reader.isDone,
  });
}

class TextReader {
  isDone = false;
  #isStarted = false;
  #isFinished = false;

  read(frame: SseFrame, events: StreamEvent[]): void {
    if (this.isDone) return;
    if (frame.data?.trim() === '[DONE]') {
      if (!this.#isFinished) raiseRefusal(protocolRefusal('[DONE] before a finish_reason'));
      this.isDone = true;
      events.push({ kind: 'end' });
      return;
    }
    const chunk = chunkOf(frame);
    if (chunk === undefined) return;
    const fields = new Fields(chunk);
    this.#start(fields, events);
    for (const choice of fields.optionalObjects('choices') ?? []) {
      if ((choice.optionalInteger('index') ?? 0) === 0) this.#choice(choice, events);
    }
    const usage = usageOfOpenAi(fields.raw('usage'));
    if (usage !== undefined) events.push({ kind: 'usage', usage });
  }

  #start(fields: Fields, events: StreamEvent[]): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const created = fields.optionalNumber('created');
    events.push(
      {
        kind: 'start',
        id: fields.optionalText('id') ?? '',
        model: fields.optionalText('model') ?? '',
        ...(created === undefined ? {} : { created: Math.floor(created) }),
      },
      { kind: 'block-start', index: 0, block: { kind: 'text' } },
    );
  }

  #choice(choice: Fields, events: StreamEvent[]): void {
    if (this.#isFinished) return;
    const text = choice.optionalText('text') ?? '';
    if (text !== '') {
      events.push({ kind: 'block-delta', index: 0, delta: { kind: 'text', text } });
    }
    const reason = choice.optionalText('finish_reason');
    if (reason === undefined || reason === '') return;
    this.#isFinished = true;
    events.push(
      { kind: 'block-stop', index: 0 },
      { kind: 'finish', stop: decodeStop(reason, plain) },
    );
  }
}

export function streamEncoder(context: AnswerContext): StreamEncoder {
  let head: JsonObject = {};
  let usage: Usage | undefined;
  const frame = (choices: readonly JsonValue[], counts: JsonObject | null): Uint8Array => {
    const chunk = defined({ ...head, choices, usage: context.streamUsage ? counts : undefined });
    return encodeSse({ data: JSON.stringify(chunk) });
  };
  const piece = (text: string, reason: string | null): Uint8Array =>
    frame([{ text, index: 0, logprobs: null, finish_reason: reason }], null);
  const encode = (event: StreamEvent): Uint8Array => {
    switch (event.kind) {
      case 'start':
        head = {
          id: completionId(event.id, context),
          object: 'text_completion',
          created: createdOf(event.created, context),
          model: event.model === '' ? context.model : event.model,
        };
        return nothing;
      case 'block-delta': {
        const { delta } = event;
        const isSaid = delta.kind === 'text' || delta.kind === 'refusal';
        return isSaid && delta.text !== '' ? piece(delta.text, null) : nothing;
      }
      case 'block-start':
      case 'block-stop':
        return nothing;
      case 'usage':
        usage = event.usage;
        return nothing;
      case 'finish':
        return piece('', finishReason(event.stop));
      case 'end':
        if (!context.streamUsage || usage === undefined) return doneFrame;
        return concatBytes(frame([], usageForOpenAi(usage)), doneFrame);
    }
  };
  return { encode };
}

export function streamWatcher(context: AnswerContext): StreamWatcher {
  return openAiWatcher(context, (choice) => charsOf(choice['text']));
}
