import type { EventStreamMessage } from '../../base/event-stream/index.ts';
import { fromBase64, toBase64 } from '../../base/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { StreamDecoder } from '../dialect.ts';
import { Fields } from '../fields.ts';
import { isDeltaOf } from '../fold.ts';
import { readerOf } from '../frame-reader.ts';
import { joinBytes } from '../join-bytes.ts';
import type { BlockDelta, BlockStart, StreamEvent } from '../model.ts';
import { protocolRefusal } from '../upstream-error.ts';
import { stopSequenceOf } from './answer.ts';
import { eventOf, eventStreamFraming } from './frames.ts';
import { decodeStop } from './stop.ts';
import { usageOfConverse } from './usage.ts';

const dialect = 'bedrock-converse';

/** Reads a stream of Converse. Only `metadata`, which follows `messageStop` and holds the usage, ends it. */
export function streamDecoder(): StreamDecoder {
  const reader = new EventReader();
  return readerOf<StreamEvent, EventStreamMessage>(eventStreamFraming(), {
    read(message, events) {
      if (reader.isDone) return;
      const { type, body } = eventOf(message);
      reader.read(type, new Fields(body, type), events);
    },
    isDone: () => reader.isDone,
  });
}

/** A block that is being sent. Redacted reasoning is known only once all of it is there. */
type OpenBlock = { readonly start: BlockStart } | { readonly redacted: string[] };

class EventReader {
  isDone = false;
  #isStarted = false;
  #isFinished = false;
  readonly #open = new Map<number, OpenBlock>();
  readonly #closed = new Set<number>();

  read(type: string, event: Fields, events: StreamEvent[]): void {
    // Kinds of events that are new are skipped, as every client of the service does.
    if (!knownEvents.has(type)) return;
    if (type === 'messageStart') {
      if (this.#isStarted) breach('a second messageStart');
      this.#isStarted = true;
      events.push({ kind: 'start', id: '', model: '' });
      return;
    }
    if (!this.#isStarted) breach(`${type} before messageStart`);
    if (type === 'metadata') this.#end(event, events);
    else if (this.#isFinished) breach(`${type} after messageStop`);
    else if (type === 'contentBlockStart') this.#start(event, events);
    else if (type === 'contentBlockDelta') this.#extend(event, events);
    else if (type === 'contentBlockStop') this.#close(event, events);
    else this.#finish(event, events);
  }

  #start(event: Fields, events: StreamEvent[]): void {
    const index = this.#unused(event);
    const start = decodeStart(event.optionalObject('start'));
    // Text and reasoning are not announced; their first delta tells them apart.
    if (start !== undefined) this.#openBlock(index, start, events);
  }

  #unused(event: Fields): number {
    const index = indexOf(event);
    if (this.#open.has(index) || this.#closed.has(index)) breach(`block ${index} starts twice`);
    return index;
  }

  #openBlock(index: number, start: BlockStart, events: StreamEvent[]): void {
    this.#open.set(index, { start });
    events.push({ kind: 'block-start', index, block: start });
  }

  #extend(event: Fields, events: StreamEvent[]): void {
    const index = indexOf(event);
    if (this.#closed.has(index)) breach(`a delta after block ${index}`);
    const delta = event.object('delta');
    const redacted = delta.optionalObject('reasoningContent')?.optionalText('redactedContent');
    if (redacted !== undefined) {
      this.#redact(index, redacted);
      return;
    }
    const decoded = decodeDelta(delta);
    const start = this.#startFor(index, decoded, events);
    if (!isDeltaOf(start, decoded)) breach(`a ${decoded.kind} delta in a ${start.kind} block`);
    if (!isEmpty(decoded)) events.push({ kind: 'block-delta', index, delta: decoded });
  }

  #startFor(index: number, delta: BlockDelta, events: StreamEvent[]): BlockStart {
    const open = this.#open.get(index);
    if (open !== undefined && 'start' in open) return open.start;
    if (open !== undefined) return breach(`a ${delta.kind} delta in redacted reasoning`);
    const start = impliedStart(delta);
    this.#openBlock(index, start, events);
    return start;
  }

  #redact(index: number, data: string): void {
    const open = this.#open.get(index);
    if (open === undefined) this.#open.set(index, { redacted: [data] });
    else if ('redacted' in open) open.redacted.push(data);
    else breach(`a redacted delta in a ${open.start.kind} block`);
  }

  #close(event: Fields, events: StreamEvent[]): void {
    const index = indexOf(event);
    if (this.#closed.has(index)) breach(`block ${index} stops twice`);
    this.#closed.add(index);
    const open = this.#open.get(index);
    this.#open.delete(index);
    // An empty block stops without a word before it.
    if (open === undefined) return;
    if ('redacted' in open) {
      const block: BlockStart = { kind: 'redacted-thinking', data: joinedData(open.redacted) };
      events.push({ kind: 'block-start', index, block });
    }
    events.push({ kind: 'block-stop', index });
  }

  #finish(event: Fields, events: StreamEvent[]): void {
    if (this.#open.size > 0) breach('messageStop inside a block');
    this.#isFinished = true;
    const stopSequence = stopSequenceOf(event.raw('additionalModelResponseFields'));
    events.push({
      kind: 'finish',
      stop: decodeStop(event.text('stopReason')),
      ...(stopSequence === undefined ? {} : { stopSequence }),
    });
  }

  #end(event: Fields, events: StreamEvent[]): void {
    if (!this.#isFinished) breach('metadata before messageStop');
    this.isDone = true;
    const usage = usageOfConverse(event.raw('usage'));
    if (usage !== undefined) events.push({ kind: 'usage', usage });
    events.push({ kind: 'end' });
  }
}

const knownEvents: ReadonlySet<string> = new Set([
  'messageStart',
  'contentBlockStart',
  'contentBlockDelta',
  'contentBlockStop',
  'messageStop',
  'metadata',
]);

function breach(what: string): never {
  return raiseRefusal(protocolRefusal(what));
}

function indexOf(event: Fields): number {
  return (
    event.optionalInteger('contentBlockIndex') ??
    event.missing('contentBlockIndex', 'a whole number')
  );
}

function decodeStart(start: Fields | undefined): BlockStart | undefined {
  const tool = start?.optionalObject('toolUse');
  if (start === undefined || Object.keys(start.value).length === 0) return undefined;
  if (tool === undefined || tool.has('type')) {
    return { kind: 'foreign', dialect, value: start.value };
  }
  return { kind: 'tool-call', id: tool.text('toolUseId'), name: tool.text('name') };
}

function decodeDelta(delta: Fields): BlockDelta {
  const text = delta.optionalText('text');
  if (text !== undefined) return { kind: 'text', text };
  const json = delta.optionalObject('toolUse')?.optionalText('input');
  if (json !== undefined) return { kind: 'arguments', json };
  const reasoning = delta.optionalObject('reasoningContent');
  const thought = reasoning?.optionalText('text');
  if (thought !== undefined) return { kind: 'thinking', text: thought };
  const signature = reasoning?.optionalText('signature');
  if (signature !== undefined) return { kind: 'signature', signature };
  return { kind: 'foreign', dialect, value: delta.value };
}

/** The block that a delta without a start opens. Citations belong to text. */
function impliedStart(delta: BlockDelta): BlockStart {
  switch (delta.kind) {
    case 'thinking':
    case 'signature':
      return { kind: 'thinking' };
    case 'arguments':
      return breach('arguments before the name of their tool');
    case 'text':
    case 'refusal':
    case 'foreign':
      return { kind: 'text' };
  }
}

function isEmpty(delta: BlockDelta): boolean {
  switch (delta.kind) {
    case 'text':
    case 'thinking':
    case 'refusal':
      return delta.text === '';
    case 'signature':
      return delta.signature === '';
    case 'arguments':
      return delta.json === '';
    case 'foreign':
      return false;
  }
}

/** Pieces of one string of bytes, each encoded for itself. */
function joinedData(pieces: readonly string[]): string {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  const bytes = pieces.map(fromBase64);
  return bytes.every((piece) => piece !== undefined) ? toBase64(joinBytes(bytes)) : pieces.join('');
}
