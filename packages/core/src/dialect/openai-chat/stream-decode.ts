import type { JsonObject, SseFrame } from '../../base/index.ts';
import { jsonObjectOf } from '../../base/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { StreamDecoder } from '../dialect.ts';
import { Fields } from '../fields.ts';
import { frameReader } from '../frame-reader.ts';
import type { BlockDelta, BlockStart, StreamEvent, StopReason, Usage } from '../model.ts';
import { protocolRefusal, refusalOfFrame } from '../upstream-error.ts';
import { tierOf, usageOfOpenAi } from '../usage.ts';
import { callIdOf } from './answer.ts';
import { decodeStop } from './stop.ts';
import { decodeThinkingBlock, plainReasoning } from './thinking.ts';

/** Reads a stream of `chat.completion.chunk` frames. Only `[DONE]` ends it. */
export function streamDecoder(): StreamDecoder {
  const chunks = new ChunkReader();
  return {
    ...frameReader<StreamEvent>({
      read: (frame, events) => chunks.read(frame, events),
      isDone: () => chunks.isDone,
    }),
    apart: () => (chunks.tier === undefined ? undefined : { tier: chunks.tier }),
  };
}

/** The object of a frame's data; error frames of every spelling end the surrounding attempt. */
export function chunkOf(frame: SseFrame): JsonObject | undefined {
  if (frame.data === undefined || frame.data === '') return undefined;
  const chunk = jsonObjectOf(frame.data);
  const hasError = chunk !== undefined && isErrorChunk(chunk);
  if (frame.event === 'error' || hasError) return raiseRefusal(refusalOfFrame(chunk));
  return chunk ?? raiseRefusal(protocolRefusal('a frame that is not a JSON object'));
}

function isErrorChunk(chunk: JsonObject): boolean {
  const { error } = chunk;
  return (error !== undefined && error !== null) || chunk['object'] === 'error';
}

interface OpenTool {
  readonly index: number;
  readonly id: string;
}

class ChunkReader {
  isDone = false;
  tier: Usage['tier'];
  #isStarted = false;
  #id = '';
  #next = 0;
  /** The one open block that is not a tool call. */
  #prose: { readonly index: number; readonly kind: 'text' | 'thinking' | 'refusal' } | undefined;
  /** Open tool calls by the server's own index: their deltas may interleave, so they close together at the finish. */
  readonly #tools = new Map<number, OpenTool>();
  readonly #open: number[] = [];
  /** Calls whose name did not come yet. */
  readonly #nameless = new Map<number, { id: string | undefined; json: string }>();
  #finish: StopReason | undefined;
  #hasToolCall = false;
  #hasRefusal = false;
  #hasReasoningText = false;

  read(frame: SseFrame, events: StreamEvent[]): void {
    if (this.isDone) return;
    if (frame.data?.trim() === '[DONE]') {
      if (this.#finish === undefined)
        raiseRefusal(protocolRefusal('[DONE] before a finish_reason'));
      this.isDone = true;
      events.push({ kind: 'end' });
      return;
    }
    const chunk = chunkOf(frame);
    if (chunk === undefined) return;
    this.tier ??= tierOf(chunk['service_tier']);
    const fields = new Fields(chunk);
    this.#start(fields, events);
    // Usage comes with the last chunk or with every one; choices are empty in chunks that say something else.
    const usage = usageOfOpenAi(fields.raw('usage'));
    for (const choice of fields.optionalObjects('choices') ?? []) {
      if ((choice.optionalInteger('index') ?? 0) === 0) this.#choice(choice, events);
    }
    if (usage !== undefined) events.push({ kind: 'usage', usage });
  }

  #start(fields: Fields, events: StreamEvent[]): void {
    const choices = fields.optionalList('choices') ?? [];
    if (this.#isStarted || (choices.length === 0 && !fields.has('usage'))) return;
    this.#isStarted = true;
    this.#id = fields.optionalText('id') ?? '';
    const created = fields.optionalNumber('created');
    events.push({
      kind: 'start',
      id: this.#id,
      model: fields.optionalText('model') ?? '',
      ...(created === undefined ? {} : { created: Math.floor(created) }),
    });
  }

  #choice(choice: Fields, events: StreamEvent[]): void {
    const delta = choice.optionalObject('delta');
    if (delta !== undefined && this.#finish === undefined) this.#delta(delta, events);
    const reason = choice.optionalText('finish_reason');
    if (reason === undefined || reason === '' || this.#finish !== undefined) return;
    this.#closeAll(events);
    const said = { hasToolCall: this.#hasToolCall, hasRefusal: this.#hasRefusal };
    this.#finish = decodeStop(reason, said);
    events.push({ kind: 'finish', stop: this.#finish });
  }

  #delta(delta: Fields, events: StreamEvent[]): void {
    const reasoning = delta.optionalText('reasoning_content') ?? plainReasoning(delta) ?? '';
    if (reasoning !== '') {
      this.#hasReasoningText = true;
      this.#say('thinking', { kind: 'thinking', text: reasoning }, events);
    }
    for (const block of delta.optionalObjects('thinking_blocks') ?? []) this.#opaque(block, events);
    const text = delta.optionalText('content') ?? '';
    if (text !== '') this.#say('text', { kind: 'text', text }, events);
    const refusal = delta.optionalText('refusal') ?? '';
    if (refusal !== '') {
      this.#hasRefusal = true;
      this.#say('refusal', { kind: 'refusal', text: refusal }, events);
    }
    const legacy = delta.optionalObject('function_call');
    if (legacy !== undefined) this.#tool(0, undefined, legacy, events);
    for (const [order, call] of (delta.optionalObjects('tool_calls') ?? []).entries()) {
      if ((call.optionalText('type') ?? 'function') !== 'function') {
        raiseRefusal(protocolRefusal('a kind of tool call that this stream cannot translate'));
      }
      const id = call.optionalText('id');
      const called = call.optionalObject('function') ?? new Fields({});
      this.#tool(call.optionalInteger('index') ?? order, id, called, events);
    }
  }

  /** Where the text came as `reasoning_content`, the opaque block adds its signature only. */
  #opaque(block: Fields, events: StreamEvent[]): void {
    const part = decodeThinkingBlock(block);
    if (part === undefined) return;
    if (part.kind === 'redacted-thinking') {
      this.#closeProse(events);
      const index = this.#startBlock({ kind: 'redacted-thinking', data: part.data }, events);
      events.push({ kind: 'block-stop', index });
      return;
    }
    if (part.text !== '' && !this.#hasReasoningText) {
      this.#say('thinking', { kind: 'thinking', text: part.text }, events);
    }
    if (part.signature === undefined) return;
    this.#say('thinking', { kind: 'signature', signature: part.signature }, events);
    // A signature seals its block; what follows is another one.
    this.#closeProse(events);
    this.#hasReasoningText = false;
  }

  #say(kind: 'text' | 'thinking' | 'refusal', delta: BlockDelta, events: StreamEvent[]): void {
    if (this.#prose?.kind !== kind) {
      this.#closeProse(events);
      this.#prose = { index: this.#startBlock({ kind }, events), kind };
    }
    events.push({ kind: 'block-delta', index: this.#prose.index, delta });
  }

  #tool(order: number, id: string | undefined, called: Fields, events: StreamEvent[]): void {
    const json = called.optionalText('arguments') ?? '';
    let tool = this.#tools.get(order);
    // Some servers give every call the index 0; a new id with a name is a new call all the same.
    const isAnother = id !== undefined && id !== '' && id !== tool?.id && called.has('name');
    if (tool === undefined || isAnother) {
      const waiting = this.#nameless.get(order) ?? { id: undefined, json: '' };
      waiting.id ??= id === '' ? undefined : id;
      const name = called.optionalText('name') ?? '';
      if (name === '') {
        waiting.json += json;
        this.#nameless.set(order, waiting);
        return;
      }
      this.#nameless.delete(order);
      this.#hasToolCall = true;
      this.#closeProse(events);
      const callId = waiting.id ?? callIdOf(this.#id, order);
      tool = {
        index: this.#startBlock({ kind: 'tool-call', id: callId, name }, events),
        id: callId,
      };
      this.#tools.set(order, tool);
      this.#open.push(tool.index);
      this.#arguments(tool, waiting.json, events);
    }
    this.#arguments(tool, json, events);
  }

  #arguments(tool: OpenTool, json: string, events: StreamEvent[]): void {
    if (json === '') return;
    events.push({ kind: 'block-delta', index: tool.index, delta: { kind: 'arguments', json } });
  }

  #startBlock(block: BlockStart, events: StreamEvent[]): number {
    const index = this.#next;
    this.#next += 1;
    events.push({ kind: 'block-start', index, block });
    return index;
  }

  #closeProse(events: StreamEvent[]): void {
    if (this.#prose === undefined) return;
    events.push({ kind: 'block-stop', index: this.#prose.index });
    this.#prose = undefined;
  }

  #closeAll(events: StreamEvent[]): void {
    if (this.#nameless.size > 0) raiseRefusal(protocolRefusal('a tool call without a name'));
    this.#closeProse(events);
    for (const index of this.#open) events.push({ kind: 'block-stop', index });
  }
}
