import type { JsonObject, Result, SseFrame } from '../../base/index.ts';
import { SseDecoder, concatBytes, err, isJsonObject, ok } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import type { StreamWatcher } from '../dialect.ts';
import type { Usage } from '../model.ts';
import { upstreamAttempt } from '../upstream-attempt.ts';
import { protocolRefusal, truncatedRefusal } from '../upstream-error.ts';
import { usageOfAnthropic } from '../usage.ts';
import { eventOf } from './stream-decode.ts';

/** Watches a Messages stream pass through: every frame goes on as it came, but for error events. */
export function streamWatcher(): StreamWatcher {
  const sse = new SseDecoder();
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

  const take = (frames: readonly SseFrame[]): Result<Uint8Array, Refusal> => {
    const result = upstreamAttempt(() => {
      for (const frame of frames) look(frame);
    });
    if (!result.ok) return result;
    const [only] = frames;
    if (frames.length === 1 && only !== undefined) return ok(only.raw);
    return ok(concatBytes(...frames.map((frame) => frame.raw)));
  };

  return {
    push(bytes) {
      const frames = sse.push(bytes);
      return frames.ok ? take(frames.value) : err(protocolRefusal(frames.error.message));
    },
    finish() {
      const rest = sse.rest();
      const bytes = take(rest === undefined ? [] : [rest]);
      return !bytes.ok || isDone ? bytes : err(truncatedRefusal());
    },
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
