import type { JsonObject } from '../../base/index.ts';
import { raise } from '../attempt.ts';
import type { Fields } from '../fields.ts';
import { isList } from '../fields.ts';
import type { Message, Part } from '../model.ts';
import { argumentsOf } from '../openai-chat/messages-decode.ts';
import { decodeContent, dialect } from './parts.ts';
import { decodeReasoning } from './reasoning.ts';
import { nameIn } from './namespace.ts';

/** Input items → system parts and turns. Items that the model gave one after the other are one turn of it. */

export interface Turns {
  readonly system: readonly Part[];
  readonly messages: readonly Message[];
}

export function decodeInput(body: Fields): Turns {
  const reader = new ItemReader();
  const instructions = body.optionalText('instructions') ?? '';
  if (instructions !== '') reader.system.push({ kind: 'text', text: instructions });
  const input = body.raw('input');
  if (typeof input === 'string') {
    reader.messages.push({ role: 'user', content: [{ kind: 'text', text: input }] });
  } else if (isList(input)) {
    for (const item of body.objects('input')) reader.add(item);
  } else if (input !== undefined) {
    body.wrong('input', 'a string or an array of items');
  }
  return { system: reader.system, messages: reader.messages };
}

class ItemReader {
  readonly system: Part[] = [];
  readonly messages: Message[] = [];
  /** The open turn of the model, or of the tools that answer it. */
  #turn: { readonly role: 'assistant' | 'user'; readonly content: Part[] } | undefined;

  add(item: Fields): void {
    const type = item.optionalText('type') ?? (item.has('role') ? 'message' : item.text('type'));
    switch (type) {
      case 'message':
        this.#message(item);
        return;
      case 'function_call':
        this.#extend('assistant', decodeCall(item));
        return;
      case 'function_call_output':
        this.#extend('user', {
          kind: 'tool-result',
          callId: item.text('call_id'),
          content: decodeContent(item, 'output'),
          isError: false,
        });
        return;
      case 'reasoning': {
        const part = decodeReasoning(item);
        if (part !== undefined) this.#extend('assistant', part);
        return;
      }
      default:
        // Calls of tools that only this format has, their results, and references to what its server keeps.
        this.#extend(/_(?:output|response)$/.test(type) ? 'user' : 'assistant', foreign(item));
    }
  }

  #message(item: Fields): void {
    const role = item.text('role');
    const content = decodeContent(item);
    switch (role) {
      case 'assistant':
        this.#extend('assistant', ...content);
        return;
      case 'user':
        this.#turn = undefined;
        this.messages.push({ role: 'user', content });
        return;
      case 'system':
      case 'developer':
        this.#turn = undefined;
        if (this.messages.length === 0) this.system.push(...content);
        else this.messages.push({ role: 'system', content });
        return;
      default:
        raise(
          'invalid_request',
          `${item.at('role')} has to be user, assistant, system or developer.`,
          { param: item.at('role') },
        );
    }
  }

  #extend(role: 'assistant' | 'user', ...parts: readonly Part[]): void {
    if (this.#turn?.role !== role) {
      this.#turn = { role, content: [] };
      this.messages.push(this.#turn);
    }
    this.#turn.content.push(...parts);
  }
}

export function foreign(item: Fields): Part {
  return { kind: 'foreign', dialect, value: item.value };
}

export function decodeCall(item: Fields): Part {
  return {
    kind: 'tool-call',
    id: item.text('call_id'),
    name: nameIn(item.optionalText('namespace'), item.text('name')),
    arguments: argumentsOf(item),
  };
}

/** Output items → parts of an answer. */
export function decodeOutput(items: readonly Fields[]): readonly Part[] {
  return items.flatMap((item) => decodeOutputItem(item));
}

export function decodeOutputItem(item: Fields): readonly Part[] {
  switch (item.text('type')) {
    case 'message':
      return decodeContent(item).filter(
        (part) => (part.kind !== 'text' && part.kind !== 'refusal') || part.text !== '',
      );
    case 'function_call':
      return [decodeCall(item)];
    case 'reasoning': {
      const part = decodeReasoning(item);
      return part === undefined ? [] : [part];
    }
    default:
      return [foreign(item)];
  }
}

/** Is the item a call that the client has to answer? */
export function isClientCall(value: JsonObject): boolean {
  const { type } = value;
  return (
    typeof type === 'string' &&
    ['function_call', 'custom_tool_call', 'local_shell_call', 'computer_call'].includes(type)
  );
}
