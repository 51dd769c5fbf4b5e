import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Catalog } from './index.ts';
import { defaultName, listedNames, resolveModel } from './index.ts';

const catalog: Catalog = {
  providers: [
    {
      id: 'ollama',
      models: [{ id: 'llama3.2:3b', maxOutputTokens: 2048 }, { id: 'shared' }],
      sendsUnlisted: false,
    },
    {
      id: 'vllm',
      models: [{ id: 'meta-llama/Llama-3.1-8B' }, { id: 'shared' }],
      sendsUnlisted: false,
    },
    { id: 'openai', models: [], sendsUnlisted: true },
  ],
  aliases: { instant: [{ provider: 'ollama', model: 'llama3.2:3b' }] },
  defaultModel: undefined,
};

describe('a name resolves', () => {
  test('an alias to its targets, under the name of the alias', () => {
    expect(resolveModel(catalog, 'instant')).toEqual({
      kind: 'found',
      name: 'instant',
      targets: [{ provider: 'ollama', model: 'llama3.2:3b' }],
    });
  });
  test('provider/model, also where the model has slashes of its own', () => {
    expect(resolveModel(catalog, 'vllm/meta-llama/Llama-3.1-8B')).toEqual({
      kind: 'found',
      name: 'vllm/meta-llama/Llama-3.1-8B',
      targets: [{ provider: 'vllm', model: 'meta-llama/Llama-3.1-8B' }],
    });
  });
  test('a bare name, when exactly one provider lists it, to its full name', () => {
    expect(resolveModel(catalog, 'meta-llama/Llama-3.1-8B')).toMatchObject({
      name: 'vllm/meta-llama/Llama-3.1-8B',
    });
    expect(resolveModel(catalog, 'llama3.2:3b')).toMatchObject({
      name: 'ollama/llama3.2:3b',
      targets: [{ provider: 'ollama', model: 'llama3.2:3b', maxOutputTokens: 2048 }],
    });
  });
  test('an unlisted model only where the provider says that any name may be sent', () => {
    expect(resolveModel(catalog, 'openai/gpt-9')).toMatchObject({
      kind: 'found',
      name: 'openai/gpt-9',
    });
    expect(resolveModel(catalog, 'ollama/gpt-9')).toEqual({
      kind: 'unknown',
      asked: 'ollama/gpt-9',
      relist: ['ollama'],
    });
  });
  test('an ambiguous bare name to nothing, and asks nobody to list again', () => {
    expect(resolveModel(catalog, 'shared')).toEqual({
      kind: 'unknown',
      asked: 'shared',
      relist: [],
    });
  });
  test('prototype names are unknown like any other', () => {
    for (const name of ['__proto__', 'constructor', 'toString', '', '/', 'ollama/']) {
      expect(resolveModel(catalog, name).kind).toBe('unknown');
    }
  });
});

test('without a name: default, then instant, then the first model, then eliza', () => {
  expect(defaultName({ ...catalog, defaultModel: 'vllm/shared' })).toBe('vllm/shared');
  expect(defaultName(catalog)).toBe('instant');
  expect(defaultName({ ...catalog, aliases: {} })).toBe('ollama/llama3.2:3b');
  expect(defaultName({ providers: [], aliases: {}, defaultModel: undefined })).toBe(
    'builtin/eliza',
  );
});

test('every listed name resolves to itself, and none is bare', () => {
  for (const { name } of listedNames(catalog))
    expect(resolveModel(catalog, name)).toMatchObject({ kind: 'found', name });
});

test('any text resolves without a throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) =>
      ['found', 'unknown'].includes(resolveModel(catalog, text).kind),
    ),
  );
});
