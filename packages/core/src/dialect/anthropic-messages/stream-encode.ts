import type { JsonObject } from '../../base/index.ts';
import { concatBytes, encodeSse, isJsonObject } from '../../base/index.ts';
import type { AnswerContext, StreamEncoder } from '../dialect.ts';
import type { BlockEvent } from '../block-order.ts';
import { BlockOrder } from '../block-order.ts';
import { joinBytes } from '../join-bytes.ts';
import type { BlockDelta, BlockStart, StreamEvent, Usage } from '../model.ts';
import { noUsage, usageForAnthropic } from '../usage.ts';
import { encodeStop, messageId } from './answer.ts';
import { toolUseId } from './blocks-encode.ts';

const nothing = new Uint8Array(0);

/** Bytes of one event, however the stream frames it. */
export type EventFrame = (type: string, event: JsonObject) => Uint8Array;

/** Writes a Messages stream: every frame names its event; one block is open at a time. */
export function streamEncoder(context: AnswerContext, frame: EventFrame = sseFrame): StreamEncoder {
  const writer = new EventWriter(context, frame);
  return { encode: (event) => writer.write(event) };
}

class EventWriter {
  readonly #context: AnswerContext;
  readonly #frame: EventFrame;
  /** Held until the next event, which may be the usage that the first frame has room for. */
  #held: Extract<StreamEvent, { kind: 'start' }> | undefined;
  readonly #order = new BlockOrder();
  /** Blocks that this format has no word for are left out whole. */
  readonly #skipped = new Set<number>();
  /** How many blocks were started: the last one is the open one. */
  #started = 0;
  #usage: Usage = noUsage;
  #finish: Extract<StreamEvent, { kind: 'finish' }> | undefined;

  constructor(context: AnswerContext, frame: EventFrame) {
    this.#context = context;
    this.#frame = frame;
  }

  write(event: StreamEvent): Uint8Array {
    switch (event.kind) {
      case 'start':
        this.#held = event;
        return nothing;
      case 'usage':
        this.#usage = event.usage;
        return this.#begin();
      case 'finish':
        // The reason goes out with the counts, which may come after it.
        this.#finish = event;
        return this.#begin();
      case 'end':
        return concatBytes(this.#begin(), this.#end());
      case 'block-start':
      case 'block-delta':
      case 'block-stop': {
        const begin = this.#begin();
        const block = this.#block(event);
        return begin.length === 0 ? block : concatBytes(begin, block);
      }
    }
  }

  #begin(): Uint8Array {
    const start = this.#held;
    if (start === undefined) return nothing;
    this.#held = undefined;
    return this.#write('message_start', {
      message: {
        id: messageId(start.id, this.#context),
        type: 'message',
        role: 'assistant',
        model: start.model === '' ? this.#context.model : start.model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: usageForAnthropic(this.#usage),
      },
    });
  }

  #block(event: BlockEvent): Uint8Array {
    if (event.kind === 'block-start' && encodeStart(event.block) === undefined) {
      this.#skipped.add(event.index);
    }
    if (this.#skipped.has(event.index)) {
      if (event.kind === 'block-stop') this.#skipped.delete(event.index);
      return nothing;
    }
    return joinBytes(this.#order.take(event).map((next) => this.#emit(next)));
  }

  #emit(event: BlockEvent): Uint8Array {
    if (event.kind === 'block-start') {
      this.#started += 1;
      const block = encodeStart(event.block) ?? {};
      return this.#write('content_block_start', { index: this.#started - 1, content_block: block });
    }
    const index = this.#started - 1;
    if (event.kind === 'block-stop') return this.#write('content_block_stop', { index });
    const delta = encodeDelta(event.delta);
    return delta === undefined ? nothing : this.#write('content_block_delta', { index, delta });
  }

  #write(type: string, members: JsonObject): Uint8Array {
    return this.#frame(type, { type, ...members });
  }

  #end(): Uint8Array {
    const stop = this.#finish?.stop ?? 'end';
    const delta = {
      stop_reason: encodeStop(stop),
      stop_sequence: this.#finish?.stopSequence ?? null,
    };
    return concatBytes(
      this.#write('message_delta', { delta, usage: usageForAnthropic(this.#usage) }),
      this.#write('message_stop', {}),
    );
  }
}

function sseFrame(type: string, event: JsonObject): Uint8Array {
  return encodeSse({ event: type, data: JSON.stringify(event) });
}

function encodeStart(start: BlockStart): JsonObject | undefined {
  switch (start.kind) {
    case 'text':
    case 'refusal':
      return { type: 'text', text: '' };
    case 'thinking':
      return { type: 'thinking', thinking: '', signature: '' };
    case 'redacted-thinking':
      return { type: 'redacted_thinking', data: start.data };
    case 'tool-call':
      return { type: 'tool_use', id: toolUseId(start.id), name: start.name, input: {} };
    case 'foreign':
      return start.dialect === 'anthropic-messages' ? start.value : undefined;
  }
}

function encodeDelta(delta: BlockDelta): JsonObject | undefined {
  switch (delta.kind) {
    case 'text':
    case 'refusal':
      return { type: 'text_delta', text: delta.text };
    case 'thinking':
      return { type: 'thinking_delta', thinking: delta.text };
    case 'signature':
      return { type: 'signature_delta', signature: delta.signature };
    case 'arguments':
      return { type: 'input_json_delta', partial_json: delta.json };
    case 'foreign':
      return delta.dialect === 'anthropic-messages' && isJsonObject(delta.value)
        ? delta.value
        : undefined;
  }
}
