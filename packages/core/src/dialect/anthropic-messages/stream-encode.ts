import type { JsonObject } from '../../base/index.ts';
import { concatBytes, encodeSse, isJsonObject } from '../../base/index.ts';
import type { AnswerContext, StreamEncoder } from '../dialect.ts';
import type { BlockDelta, BlockStart, StreamEvent, Usage } from '../model.ts';
import { noUsage, usageForAnthropic } from '../usage.ts';
import { encodeStop, messageId } from './answer.ts';
import { toolUseId } from './blocks-encode.ts';

const nothing = new Uint8Array(0);

/** Writes a Messages stream: every frame names its event; one block is open at a time. */
export function streamEncoder(context: AnswerContext): StreamEncoder {
  const writer = new EventWriter(context);
  return { encode: (event) => writer.write(event) };
}

type BlockEvent = Extract<StreamEvent, { readonly index: number }>;

/**
 * Events of blocks that interleave are put in order: client libraries take a stop for the last block's, whatever its
 * index says. What belongs to a later block waits until the open one stops.
 */
class EventWriter {
  readonly #context: AnswerContext;
  /** Held until the next event, which may be the usage that the first frame has room for. */
  #held: Extract<StreamEvent, { kind: 'start' }> | undefined;
  #open: { readonly source: number; readonly wire: number } | undefined;
  readonly #waiting = new Map<number, BlockEvent[]>();
  /** Blocks that this format has no word for are left out whole. */
  readonly #skipped = new Set<number>();
  #next = 0;
  #usage: Usage = noUsage;
  #finish: Extract<StreamEvent, { kind: 'finish' }> | undefined;

  constructor(context: AnswerContext) {
    this.#context = context;
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
    return frame('message_start', {
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
    if (this.#open === undefined && event.kind === 'block-start') return this.#emit(event);
    if (this.#open?.source === event.index || this.#skipped.has(event.index)) {
      const bytes = this.#emit(event);
      return event.kind === 'block-stop' ? concatBytes(bytes, this.#drain()) : bytes;
    }
    const queue = this.#waiting.get(event.index);
    if (queue === undefined) this.#waiting.set(event.index, [event]);
    else queue.push(event);
    return nothing;
  }

  /** Gives what waited, block by block in the order of their starts, until one of them is still open. */
  #drain(): Uint8Array {
    const pieces: Uint8Array[] = [];
    for (const [source, queue] of this.#waiting) {
      if (this.#open !== undefined) break;
      this.#waiting.delete(source);
      for (const event of queue) pieces.push(this.#emit(event));
    }
    return concatBytes(...pieces);
  }

  #emit(event: BlockEvent): Uint8Array {
    if (event.kind === 'block-start') return this.#emitStart(event.index, event.block);
    if (this.#skipped.has(event.index)) {
      if (event.kind === 'block-stop') this.#skipped.delete(event.index);
      return nothing;
    }
    const index = this.#open?.wire ?? 0;
    if (event.kind === 'block-delta') {
      const delta = encodeDelta(event.delta);
      return delta === undefined ? nothing : frame('content_block_delta', { index, delta });
    }
    this.#open = undefined;
    return frame('content_block_stop', { index });
  }

  #emitStart(source: number, start: BlockStart): Uint8Array {
    const block = encodeStart(start);
    if (block === undefined) {
      this.#skipped.add(source);
      return nothing;
    }
    const wire = this.#next;
    this.#next += 1;
    this.#open = { source, wire };
    return frame('content_block_start', { index: wire, content_block: block });
  }

  #end(): Uint8Array {
    const stop = this.#finish?.stop ?? 'end';
    const delta = {
      stop_reason: encodeStop(stop),
      stop_sequence: this.#finish?.stopSequence ?? null,
    };
    return concatBytes(
      frame('message_delta', { delta, usage: usageForAnthropic(this.#usage) }),
      frame('message_stop', {}),
    );
  }
}

function frame(type: string, members: JsonObject): Uint8Array {
  return encodeSse({ event: type, data: JSON.stringify({ type, ...members }) });
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
