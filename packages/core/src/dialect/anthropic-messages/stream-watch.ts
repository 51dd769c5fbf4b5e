import type { JsonObject, SseFrame } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { StreamWatcher } from '../dialect.ts';
import { rawReader } from '../frame-reader.ts';
import type { Usage } from '../model.ts';
import { usageOfAnthropic } from '../usage.ts';
import { eventOf } from './stream-decode.ts';

/** Watches a Messages stream pass through: every frame goes on as it came, but for error events. */
export function streamWatcher(): StreamWatcher {
  let usage: Usage | undefined;
  let delivered = 0;
  let isDone = false;

  const look = (frame: SseFrame): void => {
    const event = isDone ? undefined : eventOf(frame);
    if (event === undefined) return;
    const { type } = event;
    switch (typeof type === 'string' ? type : '') {
      case 'message_start': {
        const { message } = event;
        usage = isJsonObject(message) ? usageOfAnthropic(message['usage'], usage) : usage;
        return;
      }
      case 'message_delta':
        usage = usageOfAnthropic(event['usage'], usage);
        return;
      case 'content_block_start':
        delivered += charsOf(event['content_block'], ['name', 'text', 'thinking']);
        return;
      case 'content_block_delta':
        delivered += charsOf(event['delta'], ['text', 'thinking', 'partial_json']);
        return;
      case 'message_stop':
        isDone = true;
        return;
      default:
        return;
    }
  };

  const reader = rawReader({
    read(frame, out) {
      look(frame);
      out.push(frame.raw);
    },
    isDone: () => isDone,
  });
  return {
    ...reader,
    usage: () => usage,
    deliveredChars: () => delivered,
  };
}

function charsOf(value: JsonObject[string] | undefined, names: readonly string[]): number {
  if (!isJsonObject(value)) return 0;
  let count = 0;
  for (const name of names) {
    const text = value[name];
    if (typeof text === 'string') count += text.length;
  }
  return count;
}
