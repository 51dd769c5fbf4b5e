import fc from 'fast-check';
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

describe('output of the OpenAI family', () => {
  const xai = {
    prompt_tokens: 32,
    completion_tokens: 9,
    total_tokens: 135,
    prompt_tokens_details: { text_tokens: 32, audio_tokens: 0, image_tokens: 0, cached_tokens: 6 },
    completion_tokens_details: { reasoning_tokens: 94, audio_tokens: 0 },
    num_sources_used: 0,
  };
  const reasoned = (more: object) => ({
    prompt_tokens: 10,
    completion_tokens: 20,
    completion_tokens_details: { reasoning_tokens: 500 },
    ...more,
  });

  test.each<[string, JsonObject, number, number]>([
    ['reasoning beside the completion', xai, 103, 94],
    ['reasoning in the total alone', { ...reasoned({ total_tokens: 530 }) }, 520, 500],
    ['no details', { prompt_tokens: 10, completion_tokens: 20, total_tokens: 530 }, 520, 0],
    ['no total', { ...reasoned({}) }, 520, 500],
    ['a total of nothing', { ...reasoned({ total_tokens: 0 }) }, 520, 500],
    ['a total beyond belief', { ...reasoned({ total_tokens: 9e15 }) }, 520, 500],
    ['a total that agrees', { ...reasoned({ total_tokens: 30 }) }, 20, 20],
    [
      'reasoning within the completion',
      {
        prompt_tokens: 10,
        completion_tokens: 20,
        completion_tokens_details: { reasoning_tokens: 15 },
      },
      20,
      15,
    ],
    ['an embedding', { prompt_tokens: 11, total_tokens: 11 }, 0, 0],
    ['a prompt and a total', { prompt_tokens: 11, total_tokens: 61 }, 50, 0],
    ['a completion and a total', { completion_tokens: 20, total_tokens: 30 }, 20, 0],
    ['no counts but two', { prompt_tokens: 10, completion_tokens: 20 }, 20, 0],
  ])('%s', (_name, value, output, reasoning) => {
    expect(usageOfOpenAi(value)).toMatchObject({ output, reasoning });
  });

  test('of Responses by the same rule', () => {
    const value = { input_tokens: 10, output_tokens: 20, total_tokens: 530 };
    expect(usageOfResponses(value)).toMatchObject({ input: 10, output: 520 });
  });

  test('is never less than what the server calls the completion, nor more than it says at all', () => {
    const count = fc.nat(400_000_000);
    fc.assert(
      fc.property(count, count, fc.option(count), fc.option(count), (prompt, completion, r, t) => {
        const usage = usageOfOpenAi({
          prompt_tokens: prompt,
          completion_tokens: completion,
          total_tokens: t,
          completion_tokens_details: { reasoning_tokens: r },
        });
        const output = usage?.output ?? -1;
        expect(output).toBeGreaterThanOrEqual(completion);
        expect(output).toBeLessThanOrEqual(Math.max(completion + (r ?? 0), (t ?? 0) - prompt));
        expect(usage?.reasoning).toBeLessThanOrEqual(output);
      }),
    );
  });
});
