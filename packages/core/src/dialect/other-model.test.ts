import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../base/index.ts';
import { dialectNamed, otherModelIn } from './index.ts';
import type { DialectName } from './model.ts';

const turns = [{ role: 'user', content: 'hi' }];
const bodies: Partial<Record<DialectName, JsonObject>> = {
  'openai-chat': { model: 'm', messages: turns },
  'openai-completions': { model: 'm', prompt: 'hi' },
  'openai-responses': { model: 'm', input: 'hi' },
  'openai-embeddings': { model: 'm', input: 'hi' },
  'anthropic-messages': { model: 'm', max_tokens: 9, messages: turns },
};

function other(dialect: DialectName, more: JsonObject): string | undefined {
  const read = dialectNamed(dialect).decodeRequest({ ...bodies[dialect], ...more });
  if (!read.ok) throw new Error(read.error.message);
  return otherModelIn(read.value);
}

describe('a second model in a request', () => {
  test.each<[DialectName, JsonObject, string]>([
    // OpenRouter's: what it falls back to, and settings kept there.
    ['openai-chat', { models: ['x', 'y'], route: 'fallback' }, 'models'],
    ['openai-chat', { preset: 'mine' }, 'preset'],
    [
      'openai-chat',
      { plugins: [{ id: 'fusion', analysis_models: ['x'] }] },
      'plugins.0.analysis_models',
    ],
    [
      'openai-chat',
      { tools: [{ type: 'openrouter:fusion', parameters: { model: 'x' } }] },
      'tools.openrouter:fusion.parameters.model',
    ],
    // LiteLLM's.
    ['openai-chat', { fallbacks: ['x'] }, 'fallbacks'],
    ['openai-completions', { fallbacks: [{ m: ['x'] }] }, 'fallbacks'],
    ['openai-chat', { context_window_fallbacks: [{ m: ['x'] }] }, 'context_window_fallbacks'],
    [
      'openai-chat',
      { user_config: { model_list: [{ model_name: 'x' }] } },
      'user_config.model_list',
    ],
    // Vercel's, Groq's, Together's.
    [
      'openai-chat',
      { providerOptions: { gateway: { models: ['x'] } } },
      'providerOptions.gateway.models',
    ],
    [
      'openai-chat',
      { compound_custom: { models: { answering_model: 'x' } } },
      'compound_custom.models.answering_model',
    ],
    ['openai-completions', { safety_model: 'x' }, 'safety_model'],
    // SGLang's, which is what lies over the weights.
    ['openai-chat', { lora_path: 'x' }, 'lora_path'],
    // Messages': what answers instead, and who is asked for advice.
    ['anthropic-messages', { fallbacks: [{ model: 'x' }] }, 'fallbacks'],
    [
      'anthropic-messages',
      { tools: [{ type: 'advisor_20260301', name: 'advisor', model: 'x' }] },
      'tools.advisor.model',
    ],
    // Responses' pictures.
    [
      'openai-responses',
      { tools: [{ type: 'image_generation', model: 'x' }] },
      'tools.image_generation.model',
    ],
    ['openai-embeddings', { modelId: 'x' }, 'modelId'],
  ])('%s %j', (dialect, more, path) => {
    expect(other(dialect, more)).toBe(path);
  });

  test('Amazon’s Converse carries fields of another format', () => {
    const dialect = dialectNamed('bedrock-converse');
    const tools = [{ type: 'advisor_20260301', name: 'advisor', model: 'x' }];
    const read = dialect.decodeRequest(
      {
        messages: [{ role: 'user', content: [{ text: 'hi' }] }],
        additionalModelRequestFields: { tools },
      },
      { model: 'm', stream: false },
    );
    expect(read.ok && otherModelIn(read.value)).toBe('additionalModelRequestFields.tools.0.model');
  });

  test.each<[DialectName, JsonObject]>([
    ['openai-chat', {}],
    ['openai-chat', { metadata: { model: 'mine', fallback: 'x' } }],
    ['openai-chat', { models: [], fallbacks: null, preset: '' }],
    // A schema with a property of that name, of ours and of vLLM's.
    [
      'openai-chat',
      { tools: [{ type: 'function', function: { name: 'f', parameters: schema() } }] },
    ],
    ['openai-chat', { guided_json: schema() }],
    [
      'openai-chat',
      { response_format: { type: 'json_schema', json_schema: { name: 's', schema: schema() } } },
    ],
    ['openai-chat', { prediction: { type: 'content', content: 'model: x' } }],
    ['openai-responses', { prompt: { id: 'p', variables: { model: 'x' } } }],
    ['openai-responses', { client_metadata: { model: 'x' } }],
    ['anthropic-messages', { tools: [{ name: 'f', input_schema: schema() }] }],
    ['anthropic-messages', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }],
  ])('none: %s %j', (dialect, more) => {
    expect(other(dialect, more)).toBeUndefined();
  });

  test('however deep it stands, and in whichever spelling', () => {
    const name = fc.constantFrom('model', 'models', 'MODEL', 'model_id', 'modelName', 'fallback');
    const wrap = fc.array(fc.constantFrom('list', 'a', 'options', 'parameters'), { maxLength: 8 });
    fc.assert(
      fc.property(name, wrap, (key, path) => {
        const inner: JsonObject = { [key]: 'x' };
        const value = path.reduce<JsonObject>(
          (each, step) => (step === 'list' ? { list: [1, null, each] } : { [step]: each }),
          inner,
        );
        expect(other('openai-chat', { extra: value })).toMatch(new RegExp(`^extra\\..*${key}$`));
      }),
    );
  });
});

function schema(): JsonObject {
  return { type: 'object', properties: { model: { type: 'string' } }, required: ['model'] };
}
