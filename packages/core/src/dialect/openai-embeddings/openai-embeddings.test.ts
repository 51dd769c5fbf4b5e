import { expect, test } from 'vitest';
import { jsonObjectOf } from '../../base/index.ts';
import { estimateInputTokens } from '../estimate.ts';
import { dialects } from '../table.ts';
import { openAiEmbeddings } from './openai-embeddings.ts';

function decode(body: object) {
  return openAiEmbeddings.decodeRequest(jsonObjectOf(JSON.stringify(body)) ?? {});
}

test('requests that are hostile name the field at fault', () => {
  const cases: readonly (readonly [object, string])[] = [
    [{}, 'input'],
    [{ input: null }, 'input'],
    [{ input: {} }, 'input'],
    [{ input: '' }, 'input'],
    [{ input: [] }, 'input'],
    [{ input: ['a', ''] }, 'input.1'],
    [{ input: ['a', 1] }, 'input.1'],
    [{ input: [1, 'a'] }, 'input'],
    [{ input: [[]] }, 'input.0'],
    [{ input: [[1], [-1]] }, 'input.1'],
    [{ input: [true] }, 'input'],
    [{ input: Array.from({ length: 2_049 }, () => 'a') }, 'input'],
    [{ input: 'a', dimensions: 1.5 }, 'dimensions'],
    [{ input: 'a', encoding_format: 'int8' }, 'encoding_format'],
    [{ input: 'a', stream: true }, 'stream'],
    [{ input: 'a', user: 5 }, 'user'],
  ];
  for (const [body, param] of cases) {
    expect(decode(body)).toMatchObject({ ok: false, error: { code: 'invalid_request', param } });
  }
  expect(decode({ input: Array.from({ length: 8_000 }, (_, token) => token) }).ok).toBe(true);
});

test('a request passes through with the model alone changed, and no cap is sent', () => {
  const patch = { model: 'up', maxOutputTokens: 4096 };
  expect(
    openAiEmbeddings.patchRequest('{"model":"a","input":[ "x" ],"truncate":"END"}', patch),
  ).toEqual({ ok: true, value: '{"model":"up","input":[ "x" ],"truncate":"END"}' });
});

test('nothing else can answer it, and it has no output to reserve', () => {
  for (const body of [{ input: 'a' }, { input: [[1, 2]] }]) {
    const asked = decode(body);
    if (!asked.ok) throw new Error(asked.error.message);
    expect(asked.value.maxOutputTokens).toBe(0);
    expect(estimateInputTokens(asked.value)).toBeGreaterThan(1);
    for (const other of Object.values(dialects)) {
      if (other === openAiEmbeddings) continue;
      const target = { model: 'm', maxOutputTokens: 1 };
      expect(other.encodeRequest(asked.value, target)).toMatchObject({
        ok: false,
        error: { code: 'unsupported_parameter' },
      });
    }
  }
});

test('vectors without a vector are a breach of the upstream', () => {
  expect(openAiEmbeddings.decodeAnswer({ data: [{ index: 0 }] })).toMatchObject({
    ok: false,
    error: { code: 'upstream_error' },
  });
  expect(openAiEmbeddings.usageOfAnswer({ usage: { prompt_tokens: 4, total_tokens: 4 } })).toEqual({
    input: 4,
    cacheRead: 0,
    cacheWrite: 0,
    cacheWriteHour: 0,
    output: 0,
    reasoning: 0,
  });
});
