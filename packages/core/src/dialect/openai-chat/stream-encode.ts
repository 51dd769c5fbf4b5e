import type { JsonObject, JsonValue } from '../../base/index.ts';
import { encodeSse } from '../../base/index.ts';
import type { AnswerContext, StreamEncoder } from '../dialect.ts';
import { defined } from '../fields.ts';
import type { BlockDelta, BlockStart, StreamEvent, Usage } from '../model.ts';
import { usageForOpenAi } from '../usage.ts';
import { answerId, createdOf } from './answer.ts';
import { encodeStop } from './stop.ts';
import { encodeThinkingBlock } from './thinking.ts';

const nothing = new Uint8Array(0);
export const doneFrame: Uint8Array = encodeSse({ data: '[DONE]' });

/** Writes `chat.completion.chunk` frames: one id and time throughout, the role first, usage once if asked for. */
export function streamEncoder(context: AnswerContext): StreamEncoder {
  const writer = new ChunkWriter(context);
  return { encode: (event) => writer.write(event) };
}

interface Block {
  readonly start: BlockStart;
  /** For tool calls: which tool of the answer it is. The index counts tools, not blocks. */
  readonly tool: number;
  text: string;
  signature: string | undefined;
}

class ChunkWriter {
  readonly #context: AnswerContext;
  readonly #isLegacy: boolean;
  readonly #blocks = new Map<number, Block>();
  #head: JsonObject = {};
  #tools = 0;
  #thinkingBlocks = 0;
  #blockCount = 0;
  #hasRefusal = false;
  #usage: Usage | undefined;

  constructor(context: AnswerContext) {
    this.#context = context;
    this.#isLegacy = context.legacyFunctions ?? false;
  }

  write(event: StreamEvent): Uint8Array {
    switch (event.kind) {
      case 'start':
        this.#head = {
          id: answerId(event.id, this.#context),
          object: 'chat.completion.chunk',
          created: createdOf(event.created, this.#context),
          model: event.model === '' ? this.#context.model : event.model,
        };
        return this.#delta({ role: 'assistant', content: '' });
      case 'block-start':
        return this.#open(event.index, event.block);
      case 'block-delta':
        return this.#extend(event.index, event.delta);
      case 'block-stop':
        return this.#close(event.index);
      case 'usage':
        this.#usage = event.usage;
        return nothing;
      case 'finish': {
        const said = { hasToolCall: this.#tools > 0, hasRefusal: this.#hasRefusal };
        return this.#chunk({}, encodeStop(event.stop, said, this.#isLegacy));
      }
      case 'end':
        return this.#end();
    }
  }

  #open(index: number, start: BlockStart): Uint8Array {
    const block = { start, tool: this.#tools, text: '', signature: undefined };
    this.#blocks.set(index, block);
    this.#blockCount += 1;
    if (start.kind === 'redacted-thinking') {
      return this.#opaque({ kind: 'redacted-thinking', data: start.data });
    }
    if (start.kind !== 'tool-call') return nothing;
    this.#tools += 1;
    if (this.#isLegacy) {
      // The older form has room for one call.
      return block.tool > 0
        ? nothing
        : this.#delta({ function_call: { name: start.name, arguments: '' } });
    }
    return this.#delta({
      tool_calls: [
        {
          index: block.tool,
          id: start.id,
          type: 'function',
          function: { name: start.name, arguments: '' },
        },
      ],
    });
  }

  #extend(index: number, delta: BlockDelta): Uint8Array {
    const block = this.#blocks.get(index);
    if (block === undefined) return nothing;
    switch (delta.kind) {
      case 'text':
        return this.#delta({ content: delta.text });
      case 'refusal':
        this.#hasRefusal = true;
        return this.#delta({ refusal: delta.text });
      case 'thinking':
        block.text += delta.text;
        return this.#delta({ reasoning_content: delta.text });
      case 'signature':
        block.signature = (block.signature ?? '') + delta.signature;
        return nothing;
      case 'arguments':
        block.text += delta.json;
        return this.#arguments(block, delta.json);
      case 'foreign':
        return nothing;
    }
  }

  #arguments(block: Block, json: string): Uint8Array {
    if (json === '') return nothing;
    if (!this.#isLegacy) {
      return this.#delta({ tool_calls: [{ index: block.tool, function: { arguments: json } }] });
    }
    return block.tool > 0 ? nothing : this.#delta({ function_call: { arguments: json } });
  }

  #close(index: number): Uint8Array {
    const block = this.#blocks.get(index);
    this.#blocks.delete(index);
    // A model that called without arguments meant the empty object; clients parse what they get.
    if (block?.start.kind === 'tool-call' && block.text.trim() === '') {
      return this.#arguments(block, '{}');
    }
    if (block?.start.kind !== 'thinking' || block.signature === undefined) return nothing;
    return this.#opaque({ kind: 'thinking', text: block.text, signature: block.signature });
  }

  /** A whole opaque block in one delta: a client keeps the list without putting pieces together. */
  #opaque(part: Parameters<typeof encodeThinkingBlock>[0]): Uint8Array {
    const place = this.#blockCount - 1;
    const index = place === this.#thinkingBlocks ? undefined : place;
    this.#thinkingBlocks += 1;
    return this.#delta({ thinking_blocks: [encodeThinkingBlock(part, index)] });
  }

  #delta(delta: JsonObject): Uint8Array {
    return this.#chunk(delta, null);
  }

  #chunk(delta: JsonObject, finishReason: string | null): Uint8Array {
    return this.#frame([{ index: 0, delta, logprobs: null, finish_reason: finishReason }], null);
  }

  #end(): Uint8Array {
    if (!this.#context.streamUsage || this.#usage === undefined) return doneFrame;
    const usage = this.#frame([], usageForOpenAi(this.#usage));
    const both = new Uint8Array(usage.length + doneFrame.length);
    both.set(usage);
    both.set(doneFrame, usage.length);
    return both;
  }

  #frame(choices: readonly JsonValue[], usage: JsonObject | null): Uint8Array {
    const isAsked = this.#context.streamUsage;
    const chunk = defined({ ...this.#head, choices, usage: isAsked ? usage : undefined });
    return encodeSse({ data: JSON.stringify(chunk) });
  }
}
