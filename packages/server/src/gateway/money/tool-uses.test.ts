import type { JsonObject } from '@postern/core/base';
import type { Conversation } from '@postern/core/dialect';
import { costCeiling, costOf } from '@postern/core/price';
import { describe, expect, test } from 'vitest';
import { usesAhead, withOwnUses, withToolRates } from './tool-uses.ts';

function asking(tools: readonly JsonObject[], fields: JsonObject = {}): Conversation {
  const dialect = 'openai-responses';
  return {
    model: 'm',
    stream: false,
    streamUsage: false,
    system: [],
    messages: [{ role: 'user', content: [{ kind: 'text', text: 'Hello' }] }],
    tools: tools.map((value) => ({ name: 't', schema: {}, foreign: { dialect, value } })),
    extensions: { dialect, fields },
  };
}

const usage = {
  input: 1_000,
  cacheRead: 0,
  cacheWrite: 0,
  cacheWriteHour: 0,
  output: 0,
  reasoning: 0,
};

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
  ['OpenRouter’s tool', asking([{ type: 'openrouter:web_search' }]), 10],
  ['OpenRouter’s plugin', asking([], { plugins: [{ id: 'web' }] }), 1],
  ['a plugin that is off', asking([], { plugins: [{ id: 'web', enabled: false }, 'x'] }), 0],
  ['chat that does not', asking([], { web_search_options: null }), 0],
])('searches of %s', (_name, conversation, searches) => {
  expect(usesAhead(conversation, 'm').webSearches ?? 0).toBe(searches);
});

test('an answer of chat that searches is one search, and what is counted stays', () => {
  const asked = asking([], { web_search_options: {} });
  expect(withOwnUses(usage, asked, 'm').webSearches).toBe(1);
  expect(withOwnUses({ ...usage, webSearches: 4 }, asked, 'm').webSearches).toBe(4);
  expect(withOwnUses(usage, asking([]), 'm')).toBe(usage);
});

test('searches without a price cost a cent, also above a step; those with one cost that', () => {
  const rates = { input: 1_000_000_000, output: 1_000_000_000 };
  const price = { rates, steps: [{ aboveTokens: 500, rates }] };
  const searched = { ...usage, webSearches: 2, storageSearches: 1 };
  expect(costOf(price, searched)).toMatchObject({ ok: false });
  expect(costOf(withToolRates(price, 'm'), searched)).toEqual({ ok: true, value: 31_000_000 });
  const free = { rates: { ...rates, webSearches: 0, storageSearches: 0 } };
  expect(costOf(withToolRates(free, 'm'), searched)).toEqual({ ok: true, value: 1_000_000 });
  const expected = { inputTokens: 1_000, outputTokens: 0, webSearches: 3 };
  expect(costCeiling(withToolRates(price, 'm'), expected)).toEqual({
    ok: true,
    value: 31_000_000,
  });
});

test.each([
  'gpt-4o-search-preview-2025-03-11',
  'openai/gpt-4o-mini-search-preview',
  'gpt-5-search-api',
])('%s searches without being asked to, for more than a cent', (model) => {
  expect(usesAhead(asking([]), model).webSearches).toBe(1);
  const searched = withOwnUses(usage, asking([]), model);
  const price = withToolRates({ rates: { input: 0, output: 0 } }, model);
  expect(costOf(price, searched)).toEqual({ ok: true, value: 25_000_000 });
});

test('Perplexity’s models search, too; others whose name has such a word do not', () => {
  expect(usesAhead(asking([]), 'perplexity/sonar-pro')).toMatchObject({ webSearches: 1 });
  expect(withOwnUses(usage, asking([]), 'sonar').webSearches).toBe(1);
  expect(usesAhead(asking([]), 'relace/relace-search')).toEqual({});
  expect(usesAhead(asking([]), 'ultrasonar')).toEqual({});
});

test('searches in files are set aside for, too', () => {
  expect(usesAhead(asking([{ type: 'file_search' }]), 'm')).toMatchObject({ storageSearches: 10 });
  const bound = asking([{ type: 'file_search' }], { max_tool_calls: 2 });
  expect(usesAhead(bound, 'm')).toMatchObject({ webSearches: 0, storageSearches: 2 });
  const price = { rates: { input: 0, output: 0 } };
  const ahead = { inputTokens: 9, outputTokens: 9, ...usesAhead(bound, 'm') };
  expect(costCeiling(withToolRates(price, 'm'), ahead)).toEqual({ ok: true, value: 20_000_000 });
});

describe('pictures and sandboxes', () => {
  const image = { type: 'image_generation' };
  const code = (container: JsonObject | string) => ({ type: 'code_interpreter', container });

  test('one of each is set aside for, a sandbox by its size', () => {
    expect(usesAhead(asking([image, code('cntr_1')]), 'm')).toEqual({
      webSearches: 0,
      storageSearches: 0,
      imageCalls: 1,
      codeSessions: 1,
    });
    const large = code({ type: 'auto', memory_limit: '16g' });
    expect(usesAhead(asking([large]), 'm')).toMatchObject({ codeSessions: 16 });
    const odd = code({ type: 'auto', memory_limit: 'toString' });
    expect(usesAhead(asking([odd]), 'm')).toMatchObject({ codeSessions: 1 });
  });

  test('what was used costs what it costs elsewhere, unless somebody states a price', () => {
    const asked = asking([image, code({ type: 'auto', memory_limit: '4g' })]);
    const used = withOwnUses({ ...usage, input: 0, imageCalls: 2, codeSessions: 1 }, asked, 'm');
    const free = { rates: { input: 0, output: 0 } };
    expect(costOf(withToolRates(free, 'm'), used)).toEqual({
      ok: true,
      value: 2 * 250_000_000 + 4 * 30_000_000,
    });
    const stated = { rates: { ...free.rates, imageCalls: 40_000_000_000_000, codeSessions: 0 } };
    expect(costOf(withToolRates(stated, 'm'), used)).toEqual({ ok: true, value: 80_000_000 });
  });
});
