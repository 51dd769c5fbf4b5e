import type { JsonObject, SseFrame } from '../../base/index.ts';
import { isJsonObject, jsonObjectOf } from '../../base/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { StreamDecoder } from '../dialect.ts';
import { Fields } from '../fields.ts';
import { isDeltaOf } from '../fold.ts';
import { frameReader } from '../frame-reader.ts';
import type { BlockDelta, BlockStart, StreamEvent, Usage } from '../model.ts';
import { protocolRefusal, refusalOfFrame } from '../upstream-error.ts';
import { tokenCount, usageOfAnthropic } from '../usage.ts';
import { decodeStop } from './answer.ts';
import { SearchTally } from './searches.ts';

/** Reads a Messages stream. Only `message_stop` ends it. */
export function streamDecoder(): StreamDecoder {
  const reader = new EventReader();
  return {
    ...frameReader<StreamEvent>({
      read(frame, events) {
        const event = reader.isDone ? undefined : eventOf(frame);
        if (event !== undefined) reader.read(event, events);
      },
      isDone: () => reader.isDone,
    }),
    apart: () => reader.searches.soFar(),
  };
}

/** The object of a frame's data; an error event ends the surrounding attempt. */
export function eventOf(frame: SseFrame): JsonObject | undefined {
  if (frame.data === undefined || frame.data === '') return undefined;
  const event = jsonObjectOf(frame.data);
  if (frame.event === 'error' || event?.['type'] === 'error') {
    return raiseRefusal(refusalOfFrame(event));
  }
  return event ?? raiseRefusal(protocolRefusal('a frame that is not a JSON object'));
}

interface OpenBlock {
  readonly start: BlockStart;
  /** Some servers give the whole input at the start and no deltas. */
  readonly input: JsonObject | undefined;
  hasDelta: boolean;
}

/** Reads the events of a Messages stream, however they are framed. */
export class EventReader {
  isDone = false;
  readonly searches: SearchTally = new SearchTally();
  #isStarted = false;
  #isFinished = false;
  #usage: Usage | undefined;
  /** What the first event says of the output was said before there was any. */
  #hasOutput = false;
  readonly #open = new Map<number, OpenBlock>();
  readonly #seen = new Set<number>();

  read(event: JsonObject, events: StreamEvent[]): void {
    if (this.isDone) return;
    const fields = new Fields(event);
    const type = fields.text('type');
    // Kinds of events that are new or say nothing (`ping`) are skipped, as the format's versioning policy asks.
    if (!knownEvents.has(type)) return;
    if (type === 'message_start') {
      this.#start(fields, events);
      return;
    }
    if (!this.#isStarted) breach(`${type} before message_start`);
    if (type === 'content_block_start') this.#openBlock(fields, events);
    else if (type === 'content_block_delta') this.#extend(fields, events);
    else if (type === 'content_block_stop') this.#close(fields, events);
    else if (type === 'message_delta') this.#finish(fields, events);
    else this.#stop(events);
  }

  #start(fields: Fields, events: StreamEvent[]): void {
    if (this.#isStarted) breach('a second message_start');
    this.#isStarted = true;
    const message = fields.object('message');
    events.push({
      kind: 'start',
      id: message.optionalText('id') ?? '',
      model: message.optionalText('model') ?? '',
    });
    this.#meter(message, events);
  }

  #meter(fields: Fields, events: StreamEvent[]): void {
    const usage = usageOfAnthropic(fields.raw('usage'), this.#usage);
    if (usage === undefined || usage === this.#usage) return;
    this.#usage = usage;
    events.push({ kind: 'usage', usage });
  }

  /** Output that nobody counted at its end is none that was reported: whoever charges counts it from the words. */
  #disown(events: StreamEvent[]): void {
    if (this.#hasOutput || this.#usage === undefined || this.#usage.output === 0) return;
    this.#usage = { ...this.#usage, output: 0, reasoning: 0 };
    events.push({ kind: 'usage', usage: this.#usage });
  }

  #openBlock(fields: Fields, events: StreamEvent[]): void {
    const index = indexOf(fields);
    if (this.#isFinished || this.#seen.has(index))
      breach(`block ${index} starts twice or too late`);
    this.#seen.add(index);
    const block = fields.object('content_block');
    this.searches.block(block.value);
    const start = decodeStart(block);
    const input = block.raw('input');
    const hasInput = isJsonObject(input) && Object.keys(input).length > 0;
    this.#open.set(index, { start, input: hasInput ? input : undefined, hasDelta: false });
    events.push({ kind: 'block-start', index, block: start });
    for (const delta of firstDeltas(start, block)) {
      events.push({ kind: 'block-delta', index, delta });
    }
  }

  #extend(fields: Fields, events: StreamEvent[]): void {
    const index = indexOf(fields);
    const block = this.#open.get(index) ?? breach(`a delta outside block ${index}`);
    const delta = decodeDelta(fields.object('delta'), block.start);
    if (delta === undefined) return;
    if (!isDeltaOf(block.start, delta)) {
      breach(`a ${delta.kind} delta in a ${block.start.kind} block`);
    }
    block.hasDelta = true;
    events.push({ kind: 'block-delta', index, delta });
  }

  #close(fields: Fields, events: StreamEvent[]): void {
    const index = indexOf(fields);
    const block = this.#open.get(index) ?? breach(`block ${index} stops without a start`);
    this.#open.delete(index);
    if (block.start.kind === 'tool-call' && block.input !== undefined && !block.hasDelta) {
      const delta: BlockDelta = { kind: 'arguments', json: JSON.stringify(block.input) };
      events.push({ kind: 'block-delta', index, delta });
    }
    events.push({ kind: 'block-stop', index });
  }

  #finish(fields: Fields, events: StreamEvent[]): void {
    const said = fields.raw('usage');
    this.#hasOutput ||= isJsonObject(said) && tokenCount(said['output_tokens']) !== undefined;
    this.searches.report(said);
    this.#meter(fields, events);
    const delta = fields.object('delta');
    const reason = delta.optionalText('stop_reason');
    if (reason === undefined) return;
    this.#disown(events);
    if (this.#isFinished) breach('a second stop_reason');
    if (this.#open.size > 0) breach('a stop_reason inside a block');
    this.#isFinished = true;
    const stopSequence = delta.optionalText('stop_sequence');
    events.push({
      kind: 'finish',
      stop: decodeStop(reason),
      ...(stopSequence === undefined ? {} : { stopSequence }),
    });
  }

  #stop(events: StreamEvent[]): void {
    if (!this.#isFinished) breach('message_stop without a stop_reason');
    this.isDone = true;
    events.push({ kind: 'end' });
  }
}

const knownEvents: ReadonlySet<string> = new Set([
  'message_start',
  'content_block_start',
  'content_block_delta',
  'content_block_stop',
  'message_delta',
  'message_stop',
]);

function breach(what: string): never {
  return raiseRefusal(protocolRefusal(what));
}

function indexOf(fields: Fields): number {
  return fields.optionalInteger('index') ?? fields.missing('index', 'a whole number');
}

function decodeStart(block: Fields): BlockStart {
  switch (block.text('type')) {
    case 'text':
      return { kind: 'text' };
    case 'thinking':
      return { kind: 'thinking' };
    case 'redacted_thinking':
      return { kind: 'redacted-thinking', data: block.text('data') };
    case 'tool_use':
      return { kind: 'tool-call', id: block.text('id'), name: block.text('name') };
    default:
      return { kind: 'foreign', dialect: 'anthropic-messages', value: block.value };
  }
}

/** What a block holds at its start already. */
function firstDeltas(start: BlockStart, block: Fields): readonly BlockDelta[] {
  const deltas: BlockDelta[] = [];
  if (start.kind === 'text') {
    const text = block.optionalText('text') ?? '';
    if (text !== '') deltas.push({ kind: 'text', text });
  } else if (start.kind === 'thinking') {
    const text = block.optionalText('thinking') ?? '';
    const signature = block.optionalText('signature') ?? '';
    if (text !== '') deltas.push({ kind: 'thinking', text });
    if (signature !== '') deltas.push({ kind: 'signature', signature });
  }
  return deltas;
}

function decodeDelta(delta: Fields, start: BlockStart): BlockDelta | undefined {
  const foreign = { kind: 'foreign', dialect: 'anthropic-messages', value: delta.value } as const;
  if (start.kind === 'foreign') return foreign;
  switch (delta.text('type')) {
    case 'text_delta':
      return nonEmpty(delta.text('text'), (text) => ({ kind: 'text', text }));
    case 'thinking_delta':
      return nonEmpty(delta.text('thinking'), (text) => ({ kind: 'thinking', text }));
    case 'signature_delta':
      return nonEmpty(delta.text('signature'), (signature) => ({ kind: 'signature', signature }));
    case 'input_json_delta':
      return nonEmpty(delta.text('partial_json'), (json) => ({ kind: 'arguments', json }));
    default:
      return foreign;
  }
}

function nonEmpty(text: string, make: (text: string) => BlockDelta): BlockDelta | undefined {
  return text === '' ? undefined : make(text);
}
