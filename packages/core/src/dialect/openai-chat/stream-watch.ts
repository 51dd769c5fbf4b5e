import type { JsonObject, JsonValue, SseFrame } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { AnswerContext, StreamWatcher } from '../dialect.ts';
import { charsOf } from '../estimate.ts';
import { isList } from '../fields.ts';
import { rawReader } from '../frame-reader.ts';
import type { Usage } from '../model.ts';
import { tierOf, usageOfOpenAi } from '../usage.ts';
import { chunkOf } from './stream-decode.ts';

/**
 * Watches a stream of OpenAI's generation routes pass through: frames go on as they came, but for the usage chunk
 * that was forced and that the caller did not ask for. `chars` counts what a chunk delivers.
 */
export function openAiWatcher(
  context: AnswerContext,
  chars: (choice: JsonObject) => number,
): StreamWatcher {
  let usage: Usage | undefined;
  let tier: Usage['tier'];
  let delivered = 0;
  let isDone = false;

  const forward = (frame: SseFrame): boolean => {
    if (frame.data?.trim() === '[DONE]') isDone = true;
    if (isDone) return true;
    const chunk = chunkOf(frame);
    if (chunk === undefined) return true;
    usage = usageOfOpenAi(chunk['usage']) ?? usage;
    tier ??= tierOf(chunk['service_tier']);
    const choices = isList(chunk['choices']) ? chunk['choices'] : [];
    for (const choice of choices) if (isJsonObject(choice)) delivered += chars(choice);
    const isForced = choices.length === 0 && isJsonObject(chunk['usage']);
    return context.streamUsage || !isForced;
  };

  const reader = rawReader({
    read(frame, out) {
      if (forward(frame)) out.push(frame.raw);
    },
    isDone: () => isDone,
  });
  return {
    ...reader,
    usage: () => usage,
    deliveredChars: () => delivered,
    apart: () => (tier === undefined ? undefined : { tier }),
  };
}

/** Members of a delta that no model wrote, and bytes that are no words. */
const notWords: ReadonlySet<string> = new Set([
  'annotations',
  'data',
  'format',
  'id',
  'role',
  'signature',
  'type',
]);

/** Characters of text, reasoning, refusal and arguments in a chunk's choice, in whatever parts a server puts them. */
export function chatChars(choice: JsonObject): number {
  return wordsOf(choice['delta']);
}

function wordsOf(value: JsonValue | undefined): number {
  let count = charsOf(value);
  if (isList(value)) for (const each of value) count += wordsOf(each);
  else if (isJsonObject(value)) {
    for (const [name, member] of Object.entries(value)) {
      if (!notWords.has(name)) count += wordsOf(member);
    }
  }
  return count;
}
