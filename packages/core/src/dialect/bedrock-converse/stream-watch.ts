import type { EventStreamMessage } from '../../base/event-stream/index.ts';
import type { JsonObject, JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { StreamWatcher } from '../dialect.ts';
import { charsOf } from '../estimate.ts';
import { bytesOf, readerOf } from '../frame-reader.ts';
import type { Usage } from '../model.ts';
import { eventOf, eventStreamFraming } from './frames.ts';
import { usageOfConverse } from './usage.ts';

/** Watches a stream of Converse pass through: every message goes on as it came, but for exceptions. */
export function streamWatcher(): StreamWatcher {
  let usage: Usage | undefined;
  let delivered = 0;
  let isDone = false;
  const reader = readerOf<Uint8Array, EventStreamMessage>(eventStreamFraming(), {
    read(message, out) {
      const { type, body } = eventOf(message);
      if (type === 'contentBlockStart') delivered += startChars(body['start']);
      else if (type === 'contentBlockDelta') delivered += deltaChars(body['delta']);
      else if (type === 'metadata') {
        usage = usageOfConverse(body['usage']) ?? usage;
        isDone = true;
      }
      out.push(message.raw);
    },
    isDone: () => isDone,
  });
  return {
    ...bytesOf(reader),
    usage: () => usage,
    deliveredChars: () => delivered,
  };
}

function startChars(start: JsonValue | undefined): number {
  return isJsonObject(start) ? charsAt(start['toolUse'], 'name') : 0;
}

function deltaChars(delta: JsonValue | undefined): number {
  if (!isJsonObject(delta)) return 0;
  const text = charsAt(delta, 'text') + charsAt(delta['reasoningContent'], 'text');
  return text + charsAt(delta['toolUse'], 'input');
}

function charsAt(value: JsonObject[string] | undefined, name: string): number {
  return isJsonObject(value) ? charsOf(value[name]) : 0;
}
