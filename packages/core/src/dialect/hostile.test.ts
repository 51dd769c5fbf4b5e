import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../base/index.ts';
import { jsonObjectOf } from '../base/index.ts';
import type { DialectName } from './model.ts';
import { dialectNamed } from './table.ts';

function paramOf(name: DialectName, body: object): string | undefined {
  const decoded = dialectNamed(name).decodeRequest(jsonObjectOf(JSON.stringify(body)) ?? {});
  return decoded.ok ? 'decoded' : `${decoded.error.code} ${decoded.error.param}`;
}

describe('hostile requests name the field at fault', () => {
  const user = { role: 'user', content: 'x' };

  test('chat', () => {
    const cases: readonly (readonly [JsonObject | object, string])[] = [
      [{}, 'messages'],
      [{ messages: {} }, 'messages'],
      [{ messages: [] }, 'messages'],
      [{ messages: ['x'] }, 'messages.0'],
      [{ messages: [{ content: 'x' }] }, 'messages.0.role'],
      [{ messages: [{ role: 'root', content: 'x' }] }, 'messages.0.role'],
      [{ messages: [{ role: 'user', content: 5 }] }, 'messages.0.content'],
      [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages.0.content.0.text'],
      [{ messages: [{ role: 'user', content: [{ type: 5 }] }] }, 'messages.0.content.0.type'],
      [
        {
          messages: [
            {
              role: 'user',
              content: [{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }],
            },
          ],
        },
        'messages.0.content.0.image_url.url',
      ],
      [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.tool_call_id'],
      [{ messages: [{ role: 'function', name: 'f', content: 'x' }] }, 'messages.0.name'],
      [
        { messages: [user, { role: 'assistant', tool_calls: [{ id: 1 }] }] },
        'messages.1.tool_calls.0.function',
      ],
      [{ messages: [user], stream: 'yes' }, 'stream'],
      [{ messages: [user], stream_options: [] }, 'stream_options'],
      [{ messages: [user], max_tokens: 0 }, 'max_tokens'],
      [{ messages: [user], max_tokens: 1.5 }, 'max_tokens'],
      [{ messages: [user], max_tokens: 10, max_completion_tokens: 20 }, 'max_tokens'],
      [{ messages: [user], n: 0 }, 'n'],
      [{ messages: [user], stop: [1] }, 'stop.0'],
      [{ messages: [user], tools: [{ type: 'function' }] }, 'tools.0.function'],
      [
        {
          messages: [user],
          tools: [{ type: 'function', function: { name: 'f', parameters: [] } }],
        },
        'tools.0.function.parameters',
      ],
      [{ messages: [user], tool_choice: 'always' }, 'tool_choice'],
      [
        { messages: [user], response_format: { type: 'json_schema' } },
        'response_format.json_schema',
      ],
      [{ model: ['m'], messages: [user] }, 'model'],
    ];
    for (const [body, param] of cases) {
      expect(paramOf('openai-chat', body)).toBe(`invalid_request ${param}`);
    }
  });

  test('messages', () => {
    const cases: readonly (readonly [object, string])[] = [
      [{}, 'messages'],
      [{ messages: [] }, 'messages'],
      [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.role'],
      [{ messages: [{ role: 'user' }] }, 'messages.0.content'],
      [
        { messages: [{ role: 'user', content: [{ type: 'tool_use', name: 'f' }] }] },
        'messages.0.content.0.id',
      ],
      [
        { messages: [{ role: 'user', content: [{ type: 'image', source: 'x' }] }] },
        'messages.0.content.0.source',
      ],
      [
        { messages: [user], system: [{ type: 'image', source: { type: 'url', url: 'x' } }] },
        'system.0.type',
      ],
      [{ messages: [user], max_tokens: -1 }, 'max_tokens'],
      [{ messages: [user], tools: [{ name: 'f' }] }, 'tools.0.input_schema'],
      [{ messages: [user], tool_choice: { type: 'some' } }, 'tool_choice.type'],
      [{ messages: [user], thinking: { type: 'enabled' } }, 'thinking.budget_tokens'],
      [
        { messages: [user], output_config: { format: { type: 'grammar' } } },
        'output_config.format.type',
      ],
      [{ messages: [user], stop_sequences: 'END' }, 'stop_sequences'],
    ];
    for (const [body, param] of cases) {
      expect(paramOf('anthropic-messages', body)).toBe(`invalid_request ${param}`);
    }
  });

  test('completions and ask', () => {
    expect(paramOf('openai-completions', {})).toBe('invalid_request prompt');
    expect(paramOf('openai-completions', { prompt: 'a', input: 'b' })).toBe(
      'invalid_request input',
    );
    expect(paramOf('openai-completions', { prompt: [] })).toBe('invalid_request prompt');
    expect(paramOf('openai-completions', { prompt: ['a', 'b'] })).toBe('decoded');
    expect(paramOf('ask', {})).toBe('invalid_request prompt');
    expect(paramOf('ask', { prompt: ' ' })).toBe('invalid_request prompt');
    expect(paramOf('ask', { prompt: 'x', max_tokens: 5 })).toBe('invalid_request max_tokens');
    expect(paramOf('ask', { prompt: 'x', stream: 1 })).toBe('invalid_request stream');
  });

  test('keys with a meaning to JavaScript are ordinary keys', () => {
    const text =
      '{"messages":[{"role":"user","content":"x"}],"__proto__":{"stream":true},"constructor":1}';
    const decoded = dialectNamed('openai-chat').decodeRequest(jsonObjectOf(text) ?? {});
    if (!decoded.ok) throw new Error(decoded.error.message);
    expect(decoded.value.stream).toBe(false);
    expect(Object.keys(decoded.value.extensions.fields)).toEqual(['__proto__', 'constructor']);
    const calls = '{"__proto__":{"isAdmin":true}}';
    const answer = dialectNamed('openai-chat').decodeAnswer({
      choices: [
        {
          message: { tool_calls: [{ id: 'a', function: { name: 'f', arguments: calls } }] },
          finish_reason: 'stop',
        },
      ],
    });
    if (!answer.ok) throw new Error(answer.error.message);
    const context = { requestId: 'r', nowMs: 0, receivedAtMs: 0, model: 'm', streamUsage: false };
    const encoded = dialectNamed('anthropic-messages').encodeAnswer(answer.value, context);
    expect(JSON.stringify(encoded['content'])).toContain(`"input":${calls}`);
  });

  test('a call without arguments deep inside a huge history is read in linear time', () => {
    const turn = [
      { role: 'user', content: 'x' },
      { role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'f' } }] },
      { role: 'tool', tool_call_id: 'a', content: 'y' },
    ];
    const messages = Array.from({ length: 5000 }, () => turn).flat();
    const start = performance.now();
    const decoded = dialectNamed('openai-chat').decodeRequest({ messages });
    const encoded =
      decoded.ok &&
      dialectNamed('anthropic-messages').encodeRequest(decoded.value, {
        model: 'm',
        maxOutputTokens: 1,
      });
    expect(encoded && encoded.ok).toBe(true);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});
