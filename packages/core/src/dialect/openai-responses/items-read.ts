import { raiseRefusal } from '../attempt.ts';
import type { Fields } from '../fields.ts';
import type { BlockDelta, BlockStart, Part, StreamEvent } from '../model.ts';
import { protocolRefusal } from '../upstream-error.ts';
import { decodeOutputItem } from './items-decode.ts';
import { sealed } from './reasoning.ts';

/** A block of an item: how much of it was said decides whether the event at its end has to say it. */
interface Block {
  readonly index: number;
  isOpen: boolean;
  hasDelta: boolean;
}

interface Reasoning {
  block: Block | undefined;
  /** Which of its two texts is read: the first that comes. */
  source: string | undefined;
  part: number;
}

type Reader = (fields: Fields, events: StreamEvent[]) => void;

/**
 * Events of output items → blocks. Servers differ in how much they stream: what came in deltas is not said again by
 * the events that repeat it, and what did not is taken from them.
 */
export class ItemReader {
  #next = 0;
  readonly #parts = new Map<string, Block>();
  readonly #calls = new Map<number, Block>();
  readonly #reasoning = new Map<number, Reasoning>();
  /** Items of which anything was read, and those that are over. */
  readonly #seen = new Set<number>();
  readonly #over = new Set<number>();
  #hasCall = false;
  #hasRefusal = false;

  readonly #readers: Readonly<Record<string, Reader>> = {
    'response.output_item.added': (fields, events) => this.#added(fields, events),
    'response.output_item.done': (fields, events) =>
      this.#done(outputIndex(fields), fields.object('item'), events),
    'response.output_text.delta': (fields, events) => this.#text('text', fields, events),
    'response.refusal.delta': (fields, events) => this.#text('refusal', fields, events),
    'response.function_call_arguments.delta': (fields, events) => {
      const call = this.#calls.get(outputIndex(fields));
      if (call === undefined) breach('arguments outside a call');
      this.#delta(call, { kind: 'arguments', json: fields.text('delta') }, events);
    },
    'response.reasoning_summary_text.delta': (fields, events) =>
      this.#think('summary', fields.optionalInteger('summary_index') ?? 0, fields, events),
    'response.reasoning_text.delta': (fields, events) =>
      this.#think('content', fields.optionalInteger('content_index') ?? 0, fields, events),
    'response.content_part.done': (fields, events) => {
      const part = this.#parts.get(partKey(outputIndex(fields), fields));
      if (part?.hasDelta === true) this.#close(part, events);
    },
  };

  knows(type: string): boolean {
    return Object.hasOwn(this.#readers, type);
  }

  read(type: string, fields: Fields, events: StreamEvent[]): void {
    this.#readers[type]?.(fields, events);
  }

  /** The answer is over: what the last event holds and no other said is said now, and every block is closed. */
  finish(output: readonly Fields[], events: StreamEvent[]): void {
    for (const [index, item] of output.entries()) {
      if (!this.#seen.has(index)) this.#whole(item, events);
      else if (!this.#over.has(index)) this.#done(index, item, events);
    }
    const reasoning = [...this.#reasoning.values()].map((each) => each.block);
    for (const block of [...this.#parts.values(), ...this.#calls.values(), ...reasoning]) {
      if (block !== undefined) this.#close(block, events);
    }
  }

  /** Parts that stand for what the answer held, for the reason of its end. */
  marks(): readonly Part[] {
    const marks: Part[] = [];
    if (this.#hasCall) marks.push({ kind: 'tool-call', id: '', name: '', arguments: '' });
    if (this.#hasRefusal) marks.push({ kind: 'refusal', text: '' });
    return marks;
  }

  #added(fields: Fields, events: StreamEvent[]): void {
    const index = outputIndex(fields);
    if (this.#seen.has(index)) breach(`item ${index} starts twice`);
    this.#seen.add(index);
    const item = fields.object('item');
    if (item.text('type') === 'function_call') this.#openCall(index, item, events);
  }

  #openCall(index: number, item: Fields, events: StreamEvent[]): Block {
    this.#hasCall = true;
    const start = { kind: 'tool-call', id: item.text('call_id'), name: item.text('name') } as const;
    const call = this.#open(start, events);
    this.#calls.set(index, call);
    return call;
  }

  #text(kind: 'text' | 'refusal', fields: Fields, events: StreamEvent[]): void {
    const index = outputIndex(fields);
    const text = fields.text('delta');
    this.#seen.add(index);
    if (text === '') return;
    if (kind === 'refusal') this.#hasRefusal = true;
    const key = partKey(index, fields);
    const part = this.#parts.get(key) ?? this.#open({ kind }, events);
    this.#parts.set(key, part);
    this.#delta(part, { kind, text }, events);
  }

  #think(source: string, part: number, fields: Fields, events: StreamEvent[]): void {
    const index = outputIndex(fields);
    const text = fields.text('delta');
    this.#seen.add(index);
    if (text === '') return;
    const reasoning = this.#reasoningAt(index);
    reasoning.source ??= source;
    if (reasoning.source !== source) return;
    const isNext = part !== reasoning.part && reasoning.block !== undefined;
    reasoning.part = part;
    reasoning.block ??= this.#open({ kind: 'thinking' }, events);
    // The paragraphs of a summary are parts of their own here.
    const gap = isNext && source === 'summary' ? '\n\n' : '';
    this.#delta(reasoning.block, { kind: 'thinking', text: gap + text }, events);
  }

  #reasoningAt(index: number): Reasoning {
    const known = this.#reasoning.get(index);
    if (known !== undefined) return known;
    const fresh: Reasoning = { block: undefined, source: undefined, part: 0 };
    this.#reasoning.set(index, fresh);
    return fresh;
  }

  #done(index: number, item: Fields, events: StreamEvent[]): void {
    if (this.#over.has(index)) breach(`item ${index} is done twice`);
    this.#seen.add(index);
    this.#over.add(index);
    switch (item.text('type')) {
      case 'message':
        this.#messageDone(index, item, events);
        return;
      case 'function_call': {
        const call = this.#calls.get(index) ?? this.#openCall(index, item, events);
        const json = item.optionalText('arguments') ?? '';
        if (!call.hasDelta && json !== '') this.#delta(call, { kind: 'arguments', json }, events);
        this.#close(call, events);
        return;
      }
      case 'reasoning':
        this.#reasoningDone(index, item, events);
        return;
      default:
        this.#whole(item, events);
    }
  }

  #messageDone(index: number, item: Fields, events: StreamEvent[]): void {
    for (const [place, part] of decodeOutputItem(item).entries()) {
      if (!this.#parts.has(`${index}/${place}`)) this.#part(part, events);
    }
    for (const [key, part] of this.#parts) {
      if (key.startsWith(`${index}/`)) this.#close(part, events);
    }
  }

  /** Only here the seal is known, and with it what kind of block it is. */
  #reasoningDone(index: number, item: Fields, events: StreamEvent[]): void {
    const block = this.#reasoning.get(index)?.block;
    if (block === undefined) {
      this.#whole(item, events);
      return;
    }
    const part = sealed('', item.optionalText('encrypted_content'));
    if (part?.kind === 'thinking' && part.signature !== undefined) {
      this.#delta(block, { kind: 'signature', signature: part.signature }, events);
    }
    this.#close(block, events);
  }

  #whole(item: Fields, events: StreamEvent[]): void {
    for (const part of decodeOutputItem(item)) this.#part(part, events);
  }

  /** A part that came whole. */
  #part(part: Part, events: StreamEvent[]): void {
    switch (part.kind) {
      case 'text':
      case 'refusal': {
        if (part.kind === 'refusal') this.#hasRefusal = true;
        const block = this.#open({ kind: part.kind }, events);
        this.#delta(block, { kind: part.kind, text: part.text }, events);
        this.#close(block, events);
        return;
      }
      case 'thinking': {
        const block = this.#open({ kind: 'thinking' }, events);
        const { text, signature } = part;
        if (text !== '') this.#delta(block, { kind: 'thinking', text }, events);
        if (signature !== undefined) this.#delta(block, { kind: 'signature', signature }, events);
        this.#close(block, events);
        return;
      }
      case 'tool-call': {
        this.#hasCall = true;
        const block = this.#open({ kind: 'tool-call', id: part.id, name: part.name }, events);
        this.#delta(block, { kind: 'arguments', json: part.arguments }, events);
        this.#close(block, events);
        return;
      }
      case 'redacted-thinking':
      case 'foreign':
        this.#close(this.#open(part, events), events);
        return;
      case 'image':
      case 'document':
      case 'audio':
      case 'tool-result':
    }
  }

  #open(block: BlockStart, events: StreamEvent[]): Block {
    const opened = { index: this.#next, isOpen: true, hasDelta: false };
    this.#next += 1;
    events.push({ kind: 'block-start', index: opened.index, block });
    return opened;
  }

  #delta(block: Block, delta: BlockDelta, events: StreamEvent[]): void {
    if (!block.isOpen) breach('a delta after the end of its block');
    if (delta.kind === 'arguments' && delta.json === '') return;
    block.hasDelta = true;
    events.push({ kind: 'block-delta', index: block.index, delta });
  }

  #close(block: Block, events: StreamEvent[]): void {
    if (!block.isOpen) return;
    block.isOpen = false;
    events.push({ kind: 'block-stop', index: block.index });
  }
}

function breach(what: string): never {
  return raiseRefusal(protocolRefusal(what));
}

function outputIndex(fields: Fields): number {
  return fields.optionalInteger('output_index') ?? fields.missing('output_index', 'a whole number');
}

function partKey(index: number, fields: Fields): string {
  return `${index}/${fields.optionalInteger('content_index') ?? 0}`;
}
