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

describe('what is billed apart', () => {
  const audio = (prompt: object, completion: object) =>
    usageOfOpenAi({
      prompt_tokens: 1_000,
      completion_tokens: 1_000,
      prompt_tokens_details: { ...prompt },
      completion_tokens_details: { ...completion },
    });

  test('is absent where there was none', () => {
    const usage = audio({ audio_tokens: 0 }, { audio_tokens: 0 });
    expect(Object.keys(usage ?? {})).toHaveLength(6);
    const searched = { input_tokens: 1, server_tool_use: { web_search_requests: 0 } };
    expect(Object.keys(usageOfAnthropic(searched, undefined) ?? {})).toHaveLength(6);
  });

  test('sound is of what was read, of what came from the cache, and of what was said', () => {
    expect(audio({ audio_tokens: 900 }, { audio_tokens: 700 })).toMatchObject({
      inputAudio: 900,
      cacheReadAudio: 0,
      outputAudio: 700,
    });
    const cached = { audio_tokens: 900, cached_tokens: 400 };
    expect(audio(cached, {})).toMatchObject({ input: 600, inputAudio: 600, cacheReadAudio: 300 });
    const known = { ...cached, cached_tokens_details: { audio_tokens: 400 } };
    expect(audio(known, {})).toMatchObject({ inputAudio: 500, cacheReadAudio: 400 });
  });

  test('pictures are of the output, and that there were none is said', () => {
    expect(audio({}, { image_tokens: 0 })).toMatchObject({ output: 1_000, outputImage: 0 });
    expect(audio({}, { image_tokens: 700 })).toMatchObject({ output: 1_000, outputImage: 700 });
    const mixed = { reasoning_tokens: 100, audio_tokens: 300, image_tokens: 5_000 };
    expect(audio({}, mixed)).toMatchObject({ reasoning: 100, outputAudio: 300, outputImage: 600 });
    expect(audio({}, { image_tokens: 9e15 })).not.toHaveProperty('outputImage');
  });

  test('searches that OpenRouter and Perplexity count', () => {
    const counts = { prompt_tokens: 10, completion_tokens: 5 };
    const tools = { server_tool_use: { web_search_requests: 2 } };
    expect(usageOfOpenAi({ ...counts, ...tools })).toMatchObject({ webSearches: 2 });
    expect(usageOfOpenAi({ ...counts, num_search_queries: 3 })).toMatchObject({ webSearches: 3 });
    const none = { server_tool_use: { web_search_requests: 0 } };
    expect(Object.keys(usageOfOpenAi({ ...counts, ...none }) ?? {})).toHaveLength(6);
  });

  test('sound is never more than what it is of', () => {
    const count = fc.nat(2_000);
    fc.assert(
      fc.property(count, count, count, count, count, (heard, cached, of, spoken, reasoning) => {
        const usage = audio(
          {
            audio_tokens: heard,
            cached_tokens: cached,
            cached_tokens_details: { audio_tokens: of },
          },
          { audio_tokens: spoken, reasoning_tokens: reasoning },
        );
        if (usage === undefined) throw new Error('no usage');
        const { inputAudio = 0, cacheReadAudio = 0, outputAudio = 0 } = usage;
        expect(inputAudio).toBeLessThanOrEqual(usage.input);
        expect(cacheReadAudio).toBeLessThanOrEqual(usage.cacheRead);
        expect(outputAudio + usage.reasoning).toBeLessThanOrEqual(usage.output);
        expect(inputAudio + cacheReadAudio).toBe(Math.min(heard, usage.input + usage.cacheRead));
        expect(Math.min(inputAudio, cacheReadAudio, outputAudio)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test('searches of a stream of messages are those that it said last', () => {
    const first = usageOfAnthropic({ input_tokens: 10, output_tokens: 1 }, undefined);
    const said = { output_tokens: 5, server_tool_use: { web_search_requests: 3 } };
    const second = usageOfAnthropic(said, first);
    expect(second).toMatchObject({ input: 10, output: 5, webSearches: 3 });
    expect(usageOfAnthropic({ output_tokens: 6 }, second)).toMatchObject({ webSearches: 3 });
  });
});

describe('what Messages samples beside an answer', () => {
  const compaction = {
    type: 'compaction',
    input_tokens: 180_000,
    output_tokens: 3_500,
    cache_read_input_tokens: 200,
    cache_creation_input_tokens: 70,
    cache_creation: { ephemeral_5m_input_tokens: 30, ephemeral_1h_input_tokens: 40 },
  };
  const usage = {
    input_tokens: 23_000,
    output_tokens: 1_000,
    cache_read_input_tokens: 7,
    cache_creation_input_tokens: 5,
    cache_creation: { ephemeral_5m_input_tokens: 3, ephemeral_1h_input_tokens: 2 },
    iterations: [compaction, { type: 'message', input_tokens: 23_000, output_tokens: 1_000 }],
  };
  const all = {
    input: 203_000,
    output: 4_500,
    cacheRead: 207,
    cacheWrite: 75,
    cacheWriteHour: 42,
  };

  test('is billed with it', () => {
    expect(usageOfAnthropic(usage, undefined)).toMatchObject(all);
  });

  test('is billed once, however often a stream tells of it', () => {
    const { iterations: _, ...first } = usage;
    const begun = usageOfAnthropic({ ...first, output_tokens: 1 }, undefined);
    const once = usageOfAnthropic(usage, begun);
    expect(once).toMatchObject(all);
    expect(usageOfAnthropic(usage, once)).toMatchObject(all);
    const { iterations } = usage;
    expect(usageOfAnthropic({ output_tokens: 1_000, iterations }, once)).toMatchObject(all);
  });

  test('is none where nothing is said, or what is said are parts of the counts', () => {
    for (const iterations of [null, [], 'x', [null, { type: 'message', input_tokens: 9 }]])
      expect(usageOfAnthropic({ ...usage, iterations }, undefined)).toMatchObject({
        input: 23_000,
        output: 1_000,
        cacheWrite: 5,
      });
  });
});

test('what went to the cache is no less than its parts', () => {
  const creation = { ephemeral_5m_input_tokens: 30, ephemeral_1h_input_tokens: 40 };
  const said = { input_tokens: 1, output_tokens: 1, cache_creation: creation };
  const written = { cacheWrite: 70, cacheWriteHour: 40 };
  expect(usageOfAnthropic(said, undefined)).toMatchObject(written);
  const details = [
    { ttl: '5m', inputTokens: 30 },
    { ttl: '1h', inputTokens: 40 },
  ];
  const converse = { inputTokens: 1, outputTokens: 1, cacheDetails: details };
  expect(usageOfConverse(converse)).toMatchObject(written);
  expect(usageOfConverse({ ...converse, cacheWriteInputTokens: 90 })).toMatchObject({
    cacheWrite: 90,
    cacheWriteHour: 40,
  });
});
