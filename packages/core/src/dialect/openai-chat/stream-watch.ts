import type { JsonObject, JsonValue, SseFrame } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { AnswerContext, StreamWatcher } from '../dialect.ts';
import { isList } from '../fields.ts';
import { rawReader } from '../frame-reader.ts';
import type { Usage } from '../model.ts';
import { usageOfOpenAi } from '../usage.ts';
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
  let delivered = 0;
  let isDone = false;

  const forward = (frame: SseFrame): boolean => {
    if (frame.data?.trim() === '[DONE]') isDone = true;
    if (isDone) return true;
    const chunk = chunkOf(frame);
    if (chunk === undefined) return true;
    usage = usageOfOpenAi(chunk['usage']) ?? usage;
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
  };
}

/** Characters of text, reasoning, refusal and arguments in a chunk's choice. */
export function chatChars(choice: JsonObject): number {
  const { delta } = choice;
  if (!isJsonObject(delta)) return 0;
  let count = 0;
  for (const name of ['content', 'refusal', 'reasoning_content', 'reasoning']) {
    count += charsOf(delta[name]);
  }
  count += argumentChars(delta['function_call']);
  const calls = isList(delta['tool_calls']) ? delta['tool_calls'] : [];
  for (const call of calls) if (isJsonObject(call)) count += argumentChars(call['function']);
  return count;
}

function argumentChars(called: JsonValue | undefined): number {
  return isJsonObject(called) ? charsOf(called['name']) + charsOf(called['arguments']) : 0;
}

export function charsOf(value: JsonValue | undefined): number {
  return typeof value === 'string' ? value.length : 0;
}
