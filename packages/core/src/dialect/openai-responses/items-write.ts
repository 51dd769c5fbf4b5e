import type { JsonObject } from '../../base/index.ts';
import type { AnswerContext } from '../dialect.ts';
import type { BlockStart } from '../model.ts';
import { callItem, messageItem } from './answer.ts';
import type { ItemStatus } from './answer.ts';
import { dialect, outputPart } from './parts.ts';
import { encodeReasoning, encryptedContent, encryptedSignature, summaryPart } from './reasoning.ts';
import { itemId } from './resource.ts';

export type Emit = (type: string, members: JsonObject) => void;

/** One output item. Its `done` event waits until another item starts or the answer ends: only then its status is known. */
interface Item {
  readonly index: number;
  readonly id: string;
  /** How many of its blocks are still open. */
  open: number;
  isDone: boolean;
  /** The item as it is now. */
  json(status: ItemStatus): JsonObject;
}

interface MessageItem extends Item {
  readonly parts: { readonly kind: 'text' | 'refusal'; text: string }[];
}

/** An open block: where it goes, once it said something. */
type OpenBlock =
  | { readonly kind: 'text' | 'refusal'; place?: { item: MessageItem; part: number } }
  | { readonly kind: 'thinking'; item?: Item; text: string; encrypted: string | undefined }
  | { readonly kind: 'tool-call'; readonly item: Item; readonly said: { text: string } }
  | { readonly kind: 'none' };

/**
 * Blocks → output items and their events. An item starts with the first thing that it says, so that a block which stays
 * empty leaves none. Texts that follow each other are parts of one message.
 */
export class ItemWriter {
  hasRefusal = false;
  readonly #context: AnswerContext;
  readonly #emit: Emit;
  readonly #items: Item[] = [];
  readonly #done: JsonObject[] = [];
  readonly #blocks = new Map<number, OpenBlock>();
  /** The message that the latest item is, as long as it is. */
  #message: MessageItem | undefined;

  constructor(context: AnswerContext, emit: Emit) {
    this.#context = context;
    this.#emit = emit;
  }

  /** The items as they are now. */
  output(): readonly JsonObject[] {
    return this.#items.map((item) => this.#done[item.index] ?? item.json('in_progress'));
  }

  open(block: number, start: BlockStart): void {
    switch (start.kind) {
      case 'text':
      case 'refusal':
        this.#blocks.set(block, { kind: start.kind });
        return;
      case 'thinking':
        this.#blocks.set(block, { kind: 'thinking', text: '', encrypted: undefined });
        return;
      case 'tool-call':
        this.#openCall(block, start);
        return;
      case 'redacted-thinking': {
        this.#blocks.set(block, { kind: 'none' });
        const encrypted = encryptedContent(start);
        const item = this.#start('rs', (id) => encodeReasoning(id, '', encrypted));
        item.open = 0;
        return;
      }
      case 'foreign':
        this.#blocks.set(block, { kind: 'none' });
        if (start.dialect === dialect) this.#start('msg', () => start.value).open = 0;
    }
  }

  extend(block: number, text: string): void {
    const open = this.#blocks.get(block);
    if (open === undefined || text === '') return;
    switch (open.kind) {
      case 'text':
      case 'refusal':
        this.#say(open, text);
        return;
      case 'thinking':
        this.#think(open, text);
        return;
      case 'tool-call':
        open.said.text += text;
        this.#event('response.function_call_arguments.delta', open.item, { delta: text });
        return;
      case 'none':
        return;
    }
  }

  close(block: number, signature: string | undefined): void {
    const open = this.#blocks.get(block);
    this.#blocks.delete(block);
    if (open === undefined) return;
    switch (open.kind) {
      case 'text':
      case 'refusal':
        if (open.place !== undefined) this.#closePart(open.place.item, open.place.part);
        return;
      case 'thinking':
        this.#closeThinking(open, signature);
        return;
      case 'tool-call':
        this.#closeCall(open);
        return;
      case 'none':
        return;
    }
  }

  /** The answer is over: the last item is whole, or cut with the answer. */
  finish(isCut: boolean): void {
    for (const item of this.#items) {
      const isLast = item.index === this.#items.length - 1;
      this.#finishItem(item, isCut && isLast ? 'incomplete' : 'completed');
    }
  }

  #start(prefix: 'msg' | 'rs' | 'fc', json: (id: string, status: ItemStatus) => JsonObject): Item {
    const last = this.#items.at(-1);
    this.#message = undefined;
    const index = this.#items.length;
    const id = itemId(prefix, index, this.#context);
    const item: Item = { index, id, open: 1, isDone: false, json: (status) => json(id, status) };
    if (last?.open === 0) this.#finishItem(last, 'completed');
    this.#items.push(item);
    this.#emit('response.output_item.added', {
      output_index: index,
      item: item.json('in_progress'),
    });
    return item;
  }

  /** An item without open blocks is done as soon as it is not the last one. */
  #settle(item: Item): void {
    item.open -= 1;
    if (item.open === 0 && item.index < this.#items.length - 1) {
      this.#finishItem(item, 'completed');
    }
  }

  #finishItem(item: Item, status: ItemStatus): void {
    if (item.isDone) return;
    item.isDone = true;
    const json = item.json(status);
    this.#done[item.index] = json;
    this.#emit('response.output_item.done', { output_index: item.index, item: json });
  }

  #event(type: string, item: Item, members: JsonObject): void {
    this.#emit(type, { item_id: item.id, output_index: item.index, ...members });
  }

  #say(open: Extract<OpenBlock, { kind: 'text' | 'refusal' }>, text: string): void {
    const { kind } = open;
    if (kind === 'refusal') this.hasRefusal = true;
    open.place ??= this.#openPart(kind);
    const { item, part } = open.place;
    const said = item.parts[part];
    if (said !== undefined) said.text += text;
    this.#event(kind === 'text' ? 'response.output_text.delta' : 'response.refusal.delta', item, {
      content_index: part,
      delta: text,
      ...(kind === 'text' ? { logprobs: [] } : {}),
    });
  }

  #openPart(kind: 'text' | 'refusal'): { item: MessageItem; part: number } {
    const item = this.#message ?? this.#startMessage();
    if (item.parts.length > 0) item.open += 1;
    const part = item.parts.length;
    item.parts.push({ kind, text: '' });
    this.#event('response.content_part.added', item, {
      content_index: part,
      part: outputPart(kind, ''),
    });
    return { item, part };
  }

  #startMessage(): MessageItem {
    const parts: MessageItem['parts'] = [];
    const item = this.#start('msg', (id, status) =>
      messageItem(
        id,
        parts.map((part) => outputPart(part.kind, part.text)),
        status,
      ),
    );
    this.#message = Object.assign(item, { parts });
    return this.#message;
  }

  #closePart(item: MessageItem, part: number): void {
    const said = item.parts[part];
    if (said === undefined) return;
    const { kind, text } = said;
    const place = { content_index: part };
    if (kind === 'text') {
      this.#event('response.output_text.done', item, { ...place, text, logprobs: [] });
    } else {
      this.#event('response.refusal.done', item, { ...place, refusal: text });
    }
    this.#event('response.content_part.done', item, { ...place, part: outputPart(kind, text) });
    this.#settle(item);
  }

  #openThinking(open: Extract<OpenBlock, { kind: 'thinking' }>): Item {
    return this.#start('rs', (id) => encodeReasoning(id, open.text, open.encrypted));
  }

  #think(open: Extract<OpenBlock, { kind: 'thinking' }>, text: string): void {
    if (open.item === undefined) {
      open.item = this.#openThinking(open);
      this.#event('response.reasoning_summary_part.added', open.item, {
        summary_index: 0,
        part: summaryPart(''),
      });
    }
    open.text += text;
    this.#event('response.reasoning_summary_text.delta', open.item, {
      summary_index: 0,
      delta: text,
    });
  }

  /** Reasoning may be sealed without a word of it being shown. */
  #closeThinking(
    open: Extract<OpenBlock, { kind: 'thinking' }>,
    signature: string | undefined,
  ): void {
    if (open.item === undefined && signature === undefined) return;
    const item = open.item ?? this.#openThinking(open);
    open.encrypted = signature === undefined ? undefined : encryptedSignature(signature);
    if (open.text !== '') {
      const { text } = open;
      this.#event('response.reasoning_summary_text.done', item, { summary_index: 0, text });
      this.#event('response.reasoning_summary_part.done', item, {
        summary_index: 0,
        part: summaryPart(text),
      });
    }
    this.#settle(item);
  }

  #openCall(block: number, start: Extract<BlockStart, { kind: 'tool-call' }>): void {
    const said = { text: '' };
    const item = this.#start('fc', (id, status) =>
      callItem(id, { id: start.id, name: start.name, arguments: said.text }, status, this.#context),
    );
    this.#blocks.set(block, { kind: 'tool-call', item, said });
  }

  #closeCall(open: Extract<OpenBlock, { kind: 'tool-call' }>): void {
    // A model that called without arguments meant the empty object; clients parse what they get.
    if (open.said.text.trim() === '') {
      open.said.text += '{}';
      this.#event('response.function_call_arguments.delta', open.item, { delta: '{}' });
    }
    this.#event('response.function_call_arguments.done', open.item, {
      arguments: open.said.text,
    });
    this.#settle(open.item);
  }
}
