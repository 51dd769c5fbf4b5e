import type { JsonObject } from '../../base/index.ts';
import { concatBytes, isJsonObject } from '../../base/index.ts';
import type { BlockEvent } from '../block-order.ts';
import { BlockOrder } from '../block-order.ts';
import type { AnswerContext, StreamEncoder } from '../dialect.ts';
import { joinBytes } from '../join-bytes.ts';
import type { BlockDelta, BlockStart, StreamEvent, Usage } from '../model.ts';
import { noUsage } from '../usage.ts';
import { latencyMs } from './answer.ts';
import { eventFrame } from './frames.ts';
import { idOf } from './names.ts';
import { encodeStop } from './stop.ts';
import { usageForConverse } from './usage.ts';

const dialect = 'bedrock-converse';
const nothing = new Uint8Array(0);

/** Writes a stream of Converse: one block is open at a time, and `metadata` follows `messageStop`. */
export function streamEncoder(context: AnswerContext): StreamEncoder {
  const writer = new EventWriter(context);
  return { encode: (event) => writer.write(event) };
}

class EventWriter {
  readonly #context: AnswerContext;
  readonly #order = new BlockOrder();
  /** How many blocks were started: the last one is the open one. */
  #started = 0;
  #open: BlockStart | undefined;
  /** Was anything of the open block written? A block of nothing is not mentioned. */
  #isShown = false;
  #hasArguments = false;
  #usage: Usage = noUsage;

  constructor(context: AnswerContext) {
    this.#context = context;
  }

  write(event: StreamEvent): Uint8Array {
    switch (event.kind) {
      case 'start':
        return eventFrame('messageStart', { role: 'assistant' });
      case 'usage':
        this.#usage = event.usage;
        return nothing;
      case 'finish':
        return eventFrame('messageStop', {
          stopReason: encodeStop(event.stop),
          ...(event.stopSequence === undefined
            ? {}
            : { additionalModelResponseFields: { stop_sequence: event.stopSequence } }),
        });
      case 'end':
        return eventFrame('metadata', {
          usage: usageForConverse(this.#usage),
          metrics: { latencyMs: latencyMs(this.#context) },
        });
      case 'block-start':
      case 'block-delta':
      case 'block-stop':
        return this.#block(event);
    }
  }

  #block(event: BlockEvent): Uint8Array {
    return joinBytes(this.#order.take(event).map((next) => this.#emit(next)));
  }

  #emit(event: BlockEvent): Uint8Array {
    if (event.kind === 'block-start') return this.#start(event.block);
    if (event.kind === 'block-delta') return this.#delta(event.delta);
    return this.#stop();
  }

  #start(block: BlockStart): Uint8Array {
    this.#open = block;
    this.#isShown = false;
    this.#hasArguments = false;
    switch (block.kind) {
      case 'tool-call': {
        const toolUse = { toolUseId: idOf(block.id), name: idOf(block.name) };
        return this.#show('contentBlockStart', { start: { toolUse } });
      }
      case 'redacted-thinking':
        return this.#show('contentBlockDelta', {
          delta: { reasoningContent: { redactedContent: block.data } },
        });
      case 'foreign':
        return block.dialect === dialect
          ? this.#show('contentBlockStart', { start: block.value })
          : nothing;
      case 'text':
      case 'thinking':
      case 'refusal':
        // The service announces neither of them.
        return nothing;
    }
  }

  #delta(delta: BlockDelta): Uint8Array {
    if (this.#open?.kind === 'foreign' && this.#open.dialect !== dialect) return nothing;
    const encoded = encodeDelta(delta);
    if (encoded === undefined) return nothing;
    if (delta.kind === 'arguments') this.#hasArguments ||= delta.json.trim() !== '';
    return this.#show('contentBlockDelta', { delta: encoded });
  }

  #stop(): Uint8Array {
    // A model that called without arguments meant the empty object; clients parse what they get.
    const isBare = this.#open?.kind === 'tool-call' && !this.#hasArguments;
    const filled = isBare ? this.#delta({ kind: 'arguments', json: '{}' }) : nothing;
    this.#open = undefined;
    if (!this.#isShown) return nothing;
    const stop = eventFrame('contentBlockStop', { contentBlockIndex: this.#started - 1 });
    return filled.length === 0 ? stop : concatBytes(filled, stop);
  }

  #show(type: string, members: JsonObject): Uint8Array {
    if (!this.#isShown) this.#started += 1;
    this.#isShown = true;
    return eventFrame(type, { ...members, contentBlockIndex: this.#started - 1 });
  }
}

function encodeDelta(delta: BlockDelta): JsonObject | undefined {
  switch (delta.kind) {
    case 'text':
    case 'refusal':
      return delta.text === '' ? undefined : { text: delta.text };
    case 'thinking':
      return { reasoningContent: { text: delta.text } };
    case 'signature':
      return { reasoningContent: { signature: delta.signature } };
    case 'arguments':
      return { toolUse: { input: delta.json } };
    case 'foreign':
      return delta.dialect === dialect && isJsonObject(delta.value) ? delta.value : undefined;
  }
}
