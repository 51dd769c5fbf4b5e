import type { Result } from '../base/index.ts';
import { err, ok } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import type { BlockDelta, BlockStart, Completion, Part, StreamEvent, Usage } from './model.ts';
import { protocolRefusal, truncatedRefusal } from './upstream-error.ts';

/**
 * Between a streamed answer and a whole one. `fold` also holds the rules of the event sequence, so that a decoder
 * that breaks them is found out: one start, blocks opened and closed once, deltas of their block's kind, one
 * finish, one end.
 */

interface OpenBlock {
  readonly start: BlockStart;
  text: string;
  signature: string | undefined;
  isOpen: boolean;
}

/** Collects the events of a stream, one at a time. */
export class EventFold {
  readonly #blocks = new Map<number, OpenBlock>();
  #start: Extract<StreamEvent, { kind: 'start' }> | undefined;
  #finish: Extract<StreamEvent, { kind: 'finish' }> | undefined;
  #usage: Usage | undefined;
  #isEnded = false;

  /** Takes one event; a breach of the sequence is given as a sentence. */
  add(event: StreamEvent): string | undefined {
    if (this.#isEnded) return 'something follows the end';
    if (event.kind === 'start') {
      if (this.#start !== undefined) return 'a second start';
      this.#start = event;
      return undefined;
    }
    if (this.#start === undefined) return `${event.kind} before the start`;
    switch (event.kind) {
      case 'block-start':
        return this.#open(event.index, event.block);
      case 'block-delta':
        return this.#extend(event.index, event.delta);
      case 'block-stop':
        return this.#close(event.index);
      case 'usage':
        this.#usage = event.usage;
        return undefined;
      case 'finish':
        if (this.#finish !== undefined) return 'a second finish';
        if ([...this.#blocks.values()].some((block) => block.isOpen))
          return 'a finish inside a block';
        this.#finish = event;
        return undefined;
      case 'end':
        if (this.#finish === undefined) return 'an end without a finish';
        this.#isEnded = true;
        return undefined;
    }
  }

  /** The whole answer; a stream that did not end is refused. */
  completion(): Result<Completion, Refusal> {
    if (this.#start === undefined || this.#finish === undefined || !this.#isEnded) {
      return err(truncatedRefusal());
    }
    const ordered = [...this.#blocks.entries()].sort(([a], [b]) => a - b);
    const content = ordered.flatMap(([, block]) => partOf(block) ?? []);
    return ok({
      id: this.#start.id,
      model: this.#start.model,
      content,
      stop: this.#finish.stop,
      ...(this.#finish.stopSequence === undefined
        ? {}
        : { stopSequence: this.#finish.stopSequence }),
      ...(this.#usage === undefined ? {} : { usage: this.#usage }),
      ...(this.#start.created === undefined ? {} : { created: this.#start.created }),
    });
  }

  #open(index: number, start: BlockStart): string | undefined {
    if (this.#finish !== undefined) return 'a block after the finish';
    if (this.#blocks.has(index)) return `block ${index} starts twice`;
    this.#blocks.set(index, { start, text: '', signature: undefined, isOpen: true });
    return undefined;
  }

  #extend(index: number, delta: BlockDelta): string | undefined {
    const block = this.#blocks.get(index);
    if (block === undefined || !block.isOpen) return `a delta outside block ${index}`;
    if (!isDeltaOf(block.start, delta))
      return `a ${delta.kind} delta in a ${block.start.kind} block`;
    if (delta.kind === 'signature') block.signature = (block.signature ?? '') + delta.signature;
    else if (delta.kind === 'arguments') block.text += delta.json;
    else if (delta.kind !== 'foreign') block.text += delta.text;
    return undefined;
  }

  #close(index: number): string | undefined {
    const block = this.#blocks.get(index);
    if (block === undefined || !block.isOpen) return `block ${index} stops without a start`;
    block.isOpen = false;
    return undefined;
  }
}

export function isDeltaOf(start: BlockStart, delta: BlockDelta): boolean {
  switch (delta.kind) {
    case 'text':
      return start.kind === 'text';
    case 'thinking':
    case 'signature':
      return start.kind === 'thinking';
    case 'arguments':
      return start.kind === 'tool-call';
    case 'refusal':
      return start.kind === 'refusal';
    case 'foreign':
      return true;
  }
}

/** An empty text or refusal is no content: some providers open a text block before they know what follows. */
function partOf(block: OpenBlock): Part | undefined {
  const { start, text, signature } = block;
  switch (start.kind) {
    case 'text':
      return text === '' ? undefined : { kind: 'text', text };
    case 'refusal':
      return text === '' ? undefined : { kind: 'refusal', text };
    case 'thinking':
      if (text === '' && signature === undefined) return undefined;
      return { kind: 'thinking', text, ...(signature === undefined ? {} : { signature }) };
    case 'redacted-thinking':
      return { kind: 'redacted-thinking', data: start.data };
    case 'tool-call':
      return {
        kind: 'tool-call',
        id: start.id,
        name: start.name,
        arguments: text.trim() === '' ? '{}' : text,
      };
    case 'foreign':
      return { kind: 'foreign', dialect: start.dialect, value: start.value };
  }
}

/** A whole stream of events → the answer that it spells. */
export function fold(events: Iterable<StreamEvent>): Result<Completion, Refusal> {
  const collected = new EventFold();
  for (const event of events) {
    const breach = collected.add(event);
    if (breach !== undefined) return err(protocolRefusal(breach));
  }
  return collected.completion();
}

/** A whole answer → the events of a stream that spells it. Parts that only requests hold cannot occur in it. */
export function unfold(completion: Completion): readonly StreamEvent[] {
  const events: StreamEvent[] = [
    {
      kind: 'start',
      id: completion.id,
      model: completion.model,
      ...(completion.created === undefined ? {} : { created: completion.created }),
    },
  ];
  let index = 0;
  for (const part of completion.content) {
    const block = blockOf(part);
    if (block === undefined) continue;
    events.push({ kind: 'block-start', index, block: block.start });
    for (const delta of block.deltas) events.push({ kind: 'block-delta', index, delta });
    events.push({ kind: 'block-stop', index });
    index += 1;
  }
  if (completion.usage !== undefined) events.push({ kind: 'usage', usage: completion.usage });
  events.push({
    kind: 'finish',
    stop: completion.stop,
    ...(completion.stopSequence === undefined ? {} : { stopSequence: completion.stopSequence }),
  });
  events.push({ kind: 'end' });
  return events;
}

function blockOf(
  part: Part,
): { readonly start: BlockStart; readonly deltas: readonly BlockDelta[] } | undefined {
  switch (part.kind) {
    case 'text':
      return { start: { kind: 'text' }, deltas: [{ kind: 'text', text: part.text }] };
    case 'refusal':
      return { start: { kind: 'refusal' }, deltas: [{ kind: 'refusal', text: part.text }] };
    case 'thinking': {
      const deltas: BlockDelta[] = [];
      if (part.text !== '') deltas.push({ kind: 'thinking', text: part.text });
      if (part.signature !== undefined) {
        deltas.push({ kind: 'signature', signature: part.signature });
      }
      return { start: { kind: 'thinking' }, deltas };
    }
    case 'redacted-thinking':
      return { start: { kind: 'redacted-thinking', data: part.data }, deltas: [] };
    case 'tool-call':
      return {
        start: { kind: 'tool-call', id: part.id, name: part.name },
        deltas: [{ kind: 'arguments', json: part.arguments }],
      };
    case 'foreign':
      return { start: { kind: 'foreign', dialect: part.dialect, value: part.value }, deltas: [] };
    case 'image':
    case 'document':
    case 'audio':
    case 'tool-result':
      return undefined;
  }
}
