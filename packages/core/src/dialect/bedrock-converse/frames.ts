import type { JsonObject } from '../../base/index.ts';
import { jsonObjectOf, utf8, utf8Text } from '../../base/index.ts';
import type { EventStreamMessage, HeaderValue } from '../../base/event-stream/index.ts';
import { EventStreamDecoder, encodeEventMessage } from '../../base/event-stream/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { Framing } from '../frame-reader.ts';
import { protocolRefusal, refusalOfFrame } from '../upstream-error.ts';

/** Events of a Bedrock stream as messages of an AWS event stream. */

export const eventStreamType = 'application/vnd.amazon.eventstream';

export function eventStreamFraming(): Framing<EventStreamMessage> {
  const decoder = new EventStreamDecoder();
  return {
    push(bytes) {
      const { messages, problem } = decoder.push(bytes);
      return { frames: messages, breach: problem?.what };
    },
    rest: () => (decoder.isInside ? 'cut' : undefined),
  };
}

export interface NamedEvent {
  readonly type: string;
  readonly body: JsonObject;
}

/** The event of a message. An exception or an error ends the surrounding attempt. */
export function eventOf(message: EventStreamMessage): NamedEvent {
  const kind = headerText(message, ':message-type');
  if (kind === 'exception') {
    const type = headerText(message, ':exception-type') ?? 'unknown';
    const words = bodyOf(message)?.['message'];
    return raiseRefusal(
      refusalOfFrame({ error: { type, message: typeof words === 'string' ? words : null } }),
    );
  }
  if (kind === 'error') {
    const type = headerText(message, ':error-code') ?? 'unknown';
    const words = headerText(message, ':error-message') ?? null;
    return raiseRefusal(refusalOfFrame({ error: { type, message: words } }));
  }
  const type = headerText(message, ':event-type');
  if (kind !== 'event' || type === undefined) {
    return raiseRefusal(protocolRefusal('a message that is neither event nor exception'));
  }
  const body = bodyOf(message);
  return body === undefined
    ? raiseRefusal(protocolRefusal('an event that is not a JSON object'))
    : { type, body };
}

function headerText(message: EventStreamMessage, name: string): string | undefined {
  const header = message.headers.get(name);
  return header?.type === 'string' ? header.value : undefined;
}

function bodyOf(message: EventStreamMessage): JsonObject | undefined {
  const text = utf8Text(message.payload);
  return text === undefined ? undefined : jsonObjectOf(text);
}

export function eventFrame(type: string, body: JsonObject): Uint8Array {
  return frame(':event-type', type, 'event', body);
}

export function exceptionFrame(type: string, message: string): Uint8Array {
  return frame(':exception-type', type, 'exception', { message });
}

function frame(name: string, type: string, kind: string, body: JsonObject): Uint8Array {
  const text = (value: string): HeaderValue => ({ type: 'string', value });
  const headers = new Map([
    [name, text(type)],
    [':content-type', text('application/json')],
    [':message-type', text(kind)],
  ]);
  return encodeEventMessage(headers, utf8(JSON.stringify(body)));
}
