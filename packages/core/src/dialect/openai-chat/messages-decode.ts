import type { JsonObject } from '../../base/index.ts';
import { raise } from '../attempt.ts';
import type { Fields } from '../fields.ts';
import type { Message, Part } from '../model.ts';
import { decodeContent } from './parts.ts';
import { withThinking } from './thinking.ts';

/** The messages of a chat request → system parts and turns. */

export interface Turns {
  readonly system: readonly Part[];
  readonly messages: readonly Message[];
}

export function decodeMessages(body: Fields): Turns {
  const reader = new MessageReader();
  for (const message of body.objects('messages')) reader.add(message);
  return { system: reader.system, messages: reader.messages };
}

class MessageReader {
  readonly system: Part[] = [];
  readonly messages: Message[] = [];
  /** Tool results that follow each other answer one turn, so they become one message. */
  #results: Part[] | undefined;
  /** Calls in the older form have no ids: the next result of that name answers the latest one. */
  readonly #legacyCalls = new Map<string, string>();

  add(message: Fields): void {
    const role = message.text('role');
    if (role === 'tool' || role === 'function') {
      const result = role === 'tool' ? decodeToolResult(message) : this.#functionResult(message);
      if (this.#results === undefined) {
        this.#results = [result];
        this.messages.push({ role: 'user', content: this.#results });
      } else {
        this.#results.push(result);
      }
      return;
    }
    this.#results = undefined;
    switch (role) {
      case 'system':
      case 'developer':
        this.#addSystem(message);
        return;
      case 'user':
        this.#push('user', message, decodeContent(message));
        return;
      case 'assistant':
        this.#push('assistant', message, this.#assistantContent(message));
        return;
      default:
        raise(
          'invalid_request',
          `${message.at('role')} has to be system, developer, user, assistant, tool or function.`,
          { param: message.at('role') },
        );
    }
  }

  #addSystem(message: Fields): void {
    const content = decodeContent(message);
    if (this.messages.length === 0) this.system.push(...content);
    else this.#push('system', message, content);
  }

  #push(role: Message['role'], message: Fields, content: readonly Part[]): void {
    const name = message.optionalText('name');
    this.messages.push({ role, content, ...(name === undefined ? {} : { name }) });
  }

  #assistantContent(message: Fields): readonly Part[] {
    const content = [...decodeContent(message)];
    const refusal = message.optionalText('refusal');
    if (refusal !== undefined && refusal !== '') content.push({ kind: 'refusal', text: refusal });
    if (message.has('audio')) {
      // A reference to audio that one provider keeps.
      const value: JsonObject = { type: 'audio', audio: message.object('audio').value };
      content.push({ kind: 'foreign', dialect: 'openai-chat', value });
    }
    const legacy = message.optionalObject('function_call');
    if (legacy !== undefined) {
      const id = `call_legacy_${this.messages.length}`;
      const name = legacy.text('name');
      this.#legacyCalls.set(name, id);
      content.push({ kind: 'tool-call', id, name, arguments: argumentsOf(legacy) });
    }
    content.push(...(message.optionalObjects('tool_calls') ?? []).map(decodeToolCall));
    return withThinking(message, content);
  }

  #functionResult(message: Fields): Part {
    const name = message.text('name');
    const callId = this.#legacyCalls.get(name);
    if (callId === undefined) {
      return raise(
        'invalid_request',
        `${message.at('name')} names a function that no message calls.`,
        {
          param: message.at('name'),
        },
      );
    }
    return { kind: 'tool-result', callId, content: decodeContent(message), isError: false };
  }
}

function decodeToolResult(message: Fields): Part {
  return {
    kind: 'tool-result',
    callId: message.text('tool_call_id'),
    content: decodeContent(message),
    isError: false,
  };
}

export function decodeToolCall(call: Fields): Part {
  const type = call.optionalText('type') ?? 'function';
  if (type !== 'function') return { kind: 'foreign', dialect: 'openai-chat', value: call.value };
  const called = call.object('function');
  return {
    kind: 'tool-call',
    id: call.text('id'),
    name: called.text('name'),
    arguments: argumentsOf(called),
  };
}

/** The text as it is; where a model wrote nothing, the empty object that it meant. */
export function argumentsOf(called: Fields): string {
  const text = called.optionalText('arguments') ?? '';
  return text.trim() === '' ? '{}' : text;
}
