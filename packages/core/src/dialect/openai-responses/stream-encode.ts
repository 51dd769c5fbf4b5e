import type { JsonObject } from '../../base/index.ts';
import { concatBytes } from '../../base/index.ts';
import type { AnswerContext, StreamEncoder } from '../dialect.ts';
import type { BlockDelta, BlockStart, StopReason, StreamEvent, Usage } from '../model.ts';
import { createdOf } from '../openai-chat/answer.ts';
import { failureFrames, frame } from './error.ts';
import { ItemWriter } from './items-write.ts';
import type { ResponseState } from './resource.ts';
import { incompleteReason, nowSeconds, responseId, responseObject } from './resource.ts';

const nothing = new Uint8Array(0);

/** Writes a Responses stream: lifecycle events around the events of items, numbered without a gap. */
export function streamEncoder(context: AnswerContext): StreamEncoder {
  const writer = new ResponseWriter(context);
  return {
    encode: (event) => writer.write(event),
    encodeRefusal: (refusal) => failureFrames(refusal, writer.failure()),
  };
}

/** A block and what its deltas said so far. */
interface Block {
  readonly start: BlockStart;
  signature: string | undefined;
}

class ResponseWriter {
  readonly #context: AnswerContext;
  readonly #items: ItemWriter;
  readonly #blocks = new Map<number, Block>();
  #sequence = 0;
  #head: Pick<ResponseState, 'id' | 'model' | 'createdAt'>;
  #usage: Usage | undefined;
  #stop: StopReason = 'end';
  #pieces: Uint8Array[] = [];

  constructor(context: AnswerContext) {
    this.#context = context;
    this.#items = new ItemWriter(context, (type, members) => this.#emit(type, members));
    this.#head = {
      id: responseId('', context),
      model: context.model,
      createdAt: createdOf(undefined, context),
    };
  }

  write(event: StreamEvent): Uint8Array {
    this.#pieces = [];
    this.#take(event);
    const [only] = this.#pieces;
    if (only === undefined) return nothing;
    return this.#pieces.length === 1 ? only : concatBytes(...this.#pieces);
  }

  /** For an error event: the next number, and the response as far as it came. */
  failure(): { readonly sequence: number; readonly response: JsonObject } {
    return { sequence: this.#sequence, response: this.#response({ status: 'failed' }) };
  }

  #take(event: StreamEvent): void {
    switch (event.kind) {
      case 'start':
        this.#begin(event);
        return;
      case 'block-start':
        this.#blocks.set(event.index, { start: event.block, signature: undefined });
        this.#items.open(event.index, event.block);
        return;
      case 'block-delta':
        this.#extend(event.index, event.delta);
        return;
      case 'block-stop':
        this.#items.close(event.index, this.#blocks.get(event.index)?.signature);
        this.#blocks.delete(event.index);
        return;
      case 'usage':
        this.#usage = event.usage;
        return;
      case 'finish':
        this.#stop = event.stop;
        this.#items.finish(this.#reason() !== undefined);
        return;
      case 'end':
        this.#end();
        return;
    }
  }

  #begin(event: Extract<StreamEvent, { kind: 'start' }>): void {
    this.#head = {
      id: responseId(event.id, this.#context),
      model: event.model === '' ? this.#context.model : event.model,
      createdAt: createdOf(event.created, this.#context),
    };
    const response = this.#response({ status: 'in_progress' });
    this.#emit('response.created', { response });
    this.#emit('response.in_progress', { response });
  }

  #extend(index: number, delta: BlockDelta): void {
    const block = this.#blocks.get(index);
    if (block === undefined) return;
    switch (delta.kind) {
      case 'text':
      case 'refusal':
      case 'thinking':
        this.#items.extend(index, delta.text);
        return;
      case 'arguments':
        this.#items.extend(index, delta.json);
        return;
      case 'signature':
        block.signature = (block.signature ?? '') + delta.signature;
        return;
      case 'foreign':
        return;
    }
  }

  #end(): void {
    const reason = this.#reason();
    if (reason === undefined) {
      const completedAt = nowSeconds(this.#context);
      const response = this.#response({ status: 'completed', completedAt, usage: this.#usage });
      this.#emit('response.completed', { response });
      return;
    }
    const response = this.#response({
      status: 'incomplete',
      incompleteReason: reason,
      usage: this.#usage,
    });
    this.#emit('response.incomplete', { response });
  }

  #reason(): string | undefined {
    return incompleteReason(this.#stop, this.#items.hasRefusal);
  }

  #response(state: Omit<ResponseState, 'id' | 'model' | 'createdAt' | 'output'>): JsonObject {
    return responseObject({ ...this.#head, ...state, output: this.#items.output() }, this.#context);
  }

  #emit(type: string, members: JsonObject): void {
    this.#pieces.push(frame(type, this.#sequence, members));
    this.#sequence += 1;
  }
}
