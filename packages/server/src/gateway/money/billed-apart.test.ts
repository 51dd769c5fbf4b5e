import type { JsonObject } from '@postern/core/base';
import type { Conversation } from '@postern/core/dialect';
import { costCeiling, costOf } from '@postern/core/price';
import { expect, test } from 'vitest';
import {
  answersOf,
  asksFaster,
  hasAudio,
  searchesOf,
  withOwnSearch,
  withSearchRates,
} from './billed-apart.ts';

const text = { kind: 'text', text: 'Hello' } as const;
const sound = { kind: 'audio', format: 'wav', data: 'AAAA' } as const;

function asking(
  tools: readonly JsonObject[],
  fields: JsonObject = {},
  content: Conversation['messages'][number]['content'] = [text],
): Conversation {
  const dialect = 'openai-responses';
  return {
    model: 'm',
    stream: false,
    streamUsage: false,
    system: [],
    messages: [{ role: 'user', content }],
    tools: tools.map((value) => ({ name: 't', schema: {}, foreign: { dialect, value } })),
    extensions: { dialect, fields },
  };
}

test.each<[string, Conversation, number]>([
  ['no tools', asking([]), 0],
  ['another tool', asking([{ type: 'code_interpreter' }]), 0],
  ['an older version', asking([{ type: 'web_search_20250305', max_uses: 5 }]), 5],
  ['no bound', asking([{ type: 'web_search' }]), 10],
  ['a bound of all tools', asking([{ type: 'web_search' }], { max_tool_calls: 3 }), 3],
  ['any number', asking([{ type: 'web_search', max_uses: 1e15 }]), 100],
  ['nonsense', asking([{ type: 'web_search', max_uses: 'many' }]), 10],
  ['less than none', asking([{ type: 'web_search', max_uses: -4 }]), 10],
  ['chat that searches', asking([], { web_search_options: {} }), 1],
  ['chat that does not', asking([], { web_search_options: null }), 0],
])('searches of %s', (_name, conversation, searches) => {
  expect(searchesOf(conversation)).toBe(searches);
});

test('sound counts where it has a price and the request has any', () => {
  const priced = { rates: { input: 1, output: 2, inputAudio: 30, outputAudio: 60 } };
  const plain = { rates: { input: 1, output: 2 } };
  expect(hasAudio(priced, asking([]))).toBe(false);
  expect(hasAudio(priced, asking([], {}, [text, sound]))).toBe(true);
  expect(hasAudio(priced, asking([], { modalities: ['text', 'audio'] }))).toBe(true);
  expect(hasAudio(plain, asking([], {}, [sound]))).toBe(false);
});

const usage = {
  input: 1_000,
  cacheRead: 0,
  cacheWrite: 0,
  cacheWriteHour: 0,
  output: 0,
  reasoning: 0,
};

test('an answer of chat that searches is one search, and what is counted stays', () => {
  const asked = asking([], { web_search_options: {} });
  expect(withOwnSearch(usage, asked).webSearches).toBe(1);
  expect(withOwnSearch({ ...usage, webSearches: 4 }, asked).webSearches).toBe(4);
  expect(withOwnSearch(usage, asking([]))).toBe(usage);
});

test('searches without a price cost a cent, also above a step; those with one cost that', () => {
  const rates = { input: 1_000_000_000, output: 1_000_000_000 };
  const price = { rates, steps: [{ aboveTokens: 500, rates }] };
  const searched = { ...usage, webSearches: 2, storageSearches: 1 };
  expect(costOf(price, searched)).toMatchObject({ ok: false });
  expect(costOf(withSearchRates(price), searched)).toEqual({ ok: true, value: 31_000_000 });
  const free = { rates: { ...rates, webSearches: 0, storageSearches: 0 } };
  expect(costOf(withSearchRates(free), searched)).toEqual({ ok: true, value: 1_000_000 });
  const expected = { inputTokens: 1_000, outputTokens: 0, webSearches: 3 };
  expect(costCeiling(withSearchRates(price), expected)).toEqual({ ok: true, value: 31_000_000 });
});

test.each<[JsonObject, boolean]>([
  [{}, false],
  [{ service_tier: 'auto' }, false],
  [{ service_tier: 'flex' }, false],
  [{ service_tier: 'priority' }, true],
  [{ speed: 'fast' }, true],
  [{ inference_geo: 'us' }, true],
  [{ inference_geo: 'global' }, false],
  [{ serviceTier: { type: 'flex' } }, false],
  [{ serviceTier: { type: 'priority' } }, true],
  [{ performanceConfig: { latency: 'standard' } }, false],
  [{ performanceConfig: { latency: 'optimized' } }, true],
])('%j asks for a faster tier: %s', (fields, faster) => {
  expect(asksFaster(asking([], fields))).toBe(faster);
});

test('a header may ask for a faster tier', () => {
  expect(asksFaster({ ...asking([]), isHasty: true })).toBe(true);
});

test.each<[JsonObject, number, number]>([
  [{}, 1, 1],
  [{}, 3, 3],
  [{ best_of: 5 }, 3, 5],
  [{ best_of: 2 }, 3, 3],
  [{ prompt: ['a', 'b', 'c', 'd'] }, 1, 4],
  [{ prompt: ['a', 'b'], best_of: 5 }, 3, 10],
  [{ prompt: [[1, 2], [3], [4]] }, 1, 3],
  [{ prompt: [1, 2, 3] }, 1, 1],
])('a completion of %j and %i choices is so many answers: %i', (fields, choices, answers) => {
  const extensions = { dialect: 'openai-completions', fields } as const;
  expect(answersOf({ ...asking([]), choices, extensions })).toBe(answers);
});
