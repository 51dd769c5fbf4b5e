import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../base/index.ts';
import { usageOfConverse } from './bedrock-converse/usage.ts';
import { usageOfResponses } from './openai-responses/usage.ts';
import type { Usage } from './model.ts';
import { tokenCount, usageOfAnthropic, usageOfOpenAi } from './usage.ts';

describe('a count beyond belief', () => {
  test('is none', () => {
    expect(tokenCount(1_000_000_000)).toBe(1_000_000_000);
    expect(tokenCount(1_000_000_001)).toBeUndefined();
    expect(tokenCount(Number.MAX_SAFE_INTEGER)).toBeUndefined();
  });

  test.each<[string, (value: JsonObject) => Usage | undefined, JsonObject]>([
    ['chat', usageOfOpenAi, { prompt_tokens: 10, completion_tokens: 9e15, total_tokens: 9e15 }],
    ['chat, prompt', usageOfOpenAi, { prompt_tokens: 9e15, completion_tokens: 5 }],
    ['responses', usageOfResponses, { input_tokens: 10, output_tokens: 2e9 }],
    [
      'messages',
      (value) => usageOfAnthropic(value, undefined),
      { input_tokens: 10, output_tokens: 2e9 },
    ],
    [
      'messages, cached',
      (value) => usageOfAnthropic(value, undefined),
      { input_tokens: 10, output_tokens: 2, cache_read_input_tokens: 2e9 },
    ],
    ['converse', usageOfConverse, { inputTokens: 10, outputTokens: 1e300 }],
  ])('leaves the usage of %s unsaid, and not zero', (_name, read, value) => {
    expect(read(value)).toBeUndefined();
  });

  test('unsays what the stream of messages said before it', () => {
    const before = usageOfAnthropic({ input_tokens: 10, output_tokens: 1 }, undefined);
    expect(usageOfAnthropic({ output_tokens: 2e9 }, before)).toBeUndefined();
  });
});
