import type { JsonObject } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { StreamWatcher } from '../dialect.ts';
import { charsOf } from '../estimate.ts';
import { rawReader } from '../frame-reader.ts';
import type { Usage } from '../model.ts';
import { tokenCount, usageOfAnthropic } from '../usage.ts';
import { SearchTally } from './searches.ts';
import { eventOf } from './stream-decode.ts';

/** Watches a Messages stream pass through: every frame goes on as it came, but for error events. */
export function streamWatcher(): StreamWatcher {
  const meter = new EventMeter();
  const reader = rawReader({
    read(frame, out) {
      const event = meter.isDone ? undefined : eventOf(frame);
      if (event !== undefined) meter.look(event);
      out.push(frame.raw);
    },
    isDone: () => meter.isDone,
  });
  return {
    ...reader,
    usage: () => meter.usage,
    deliveredChars: () => meter.delivered,
    apart: () => meter.searches.soFar(),
  };
}

/** What the events of a Messages stream deliver and cost, however they are framed. */
export class EventMeter {
  usage: Usage | undefined;
  delivered = 0;
  isDone = false;
  readonly searches: SearchTally = new SearchTally();
  /** What the first event says of the output was said before there was any. */
  #hasOutput = false;

  look(event: JsonObject): void {
    const { type } = event;
    switch (typeof type === 'string' ? type : '') {
      case 'message_start': {
        const { message } = event;
        if (isJsonObject(message)) this.usage = usageOfAnthropic(message['usage'], this.usage);
        return;
      }
      case 'message_delta': {
        const { usage } = event;
        this.#hasOutput ||= isJsonObject(usage) && tokenCount(usage['output_tokens']) !== undefined;
        this.usage = usageOfAnthropic(usage, this.usage);
        this.searches.report(usage);
        return;
      }
      case 'content_block_start':
        this.searches.block(event['content_block']);
        this.delivered += charsIn(event['content_block'], ['name', 'text', 'thinking']);
        return;
      case 'content_block_delta':
        this.delivered += charsIn(event['delta'], ['text', 'thinking', 'partial_json']);
        return;
      case 'message_stop':
        if (!this.#hasOutput && this.usage !== undefined)
          this.usage = { ...this.usage, output: 0, reasoning: 0 };
        this.isDone = true;
        return;
      default:
        return;
    }
  }
}

function charsIn(value: JsonObject[string] | undefined, names: readonly string[]): number {
  if (!isJsonObject(value)) return 0;
  let count = 0;
  for (const name of names) {
    count += charsOf(value[name]);
  }
  return count;
}
