import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../base/index.ts';
import { dialectNamed, estimateInputTokens } from './index.ts';

function estimated(dialect: 'openai-completions' | 'openai-embeddings', body: JsonObject): number {
  const read = dialectNamed(dialect).decodeRequest({ model: 'm', ...body });
  if (!read.ok) throw new Error(read.error.message);
  return estimateInputTokens(read.value);
}

describe('a prompt of tokens', () => {
  const ids = Array.from({ length: 1_000 }, (_, index) => index % 10);

  test('has as many as it has numbers, however short they are', () => {
    expect(estimated('openai-completions', { prompt: ids })).toBeGreaterThanOrEqual(1_000);
    expect(estimated('openai-completions', { prompt: [ids, ids] })).toBeGreaterThanOrEqual(2_000);
    expect(estimated('openai-embeddings', { input: ids })).toBeGreaterThanOrEqual(1_000);
    expect(estimated('openai-embeddings', { input: [ids, ids] })).toBeGreaterThanOrEqual(2_000);
  });

  test('of several texts is their text', () => {
    const texts = ['Hello there', 'and you'];
    expect(estimated('openai-completions', { prompt: texts })).toBeLessThan(40);
  });
});
