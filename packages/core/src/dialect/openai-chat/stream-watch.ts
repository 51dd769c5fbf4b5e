import type { JsonObject, JsonValue, Result, SseFrame } from '../../base/index.ts';
import { SseDecoder, concatBytes, err, isJsonObject, ok } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import type { AnswerContext, StreamWatcher } from '../dialect.ts';
import { isList } from '../fields.ts';
import type { Usage } from '../model.ts';
import { upstreamAttempt } from '../upstream-attempt.ts';
import { protocolRefusal, truncatedRefusal } from '../upstream-error.ts';
import { usageOfOpenAi } from '../usage.ts';
import { chunkOf } from './stream-decode.ts';

/** What a frame is worth to the meter. */
interface FrameReading {
  readonly chars: number;
}

/**
 * Watches a stream of OpenAI's generation routes pass through: frames go on as they came, but for the usage chunk
 * that was forced and that the caller did not ask for. `chars` counts what a chunk delivers.
 */
export function openAiWatcher(
  context: AnswerContext,
  chars: (choice: JsonObject) => number,
): StreamWatcher {
  const sse = new SseDecoder();
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
    delivered += readingOf(choices, chars).chars;
    const isForced = choices.length === 0 && isJsonObject(chunk['usage']);
    return context.streamUsage || !isForced;
  };

  const take = (frames: readonly SseFrame[]): Result<Uint8Array, Refusal> => {
    const kept: Uint8Array[] = [];
    const result = upstreamAttempt(() => {
      for (const frame of frames) if (forward(frame)) kept.push(frame.raw);
    });
    if (!result.ok) return result;
    const [only] = kept;
    return ok(kept.length === 1 && only !== undefined ? only : concatBytes(...kept));
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

function readingOf(
  choices: readonly JsonValue[],
  chars: (choice: JsonObject) => number,
): FrameReading {
  let count = 0;
  for (const choice of choices) if (isJsonObject(choice)) count += chars(choice);
  return { chars: count };
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
