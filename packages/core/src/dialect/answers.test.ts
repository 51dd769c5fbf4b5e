import { describe, expect, test } from 'vitest';
import type { JsonObject, JsonValue } from '../base/index.ts';
import { jsonObjectOf } from '../base/index.ts';
import {
  decodeCountAnswer,
  encodeCountAnswer,
  encodeCountRequest,
  patchCountRequest,
} from './anthropic-messages/index.ts';
import type { AnswerContext } from './dialect.ts';
import { estimateInputTokens, estimateTextTokens } from './estimate.ts';
import { fold } from './fold.ts';
import type { DialectName, StreamEvent } from './model.ts';
import { dialectNamed } from './table.ts';

const context: AnswerContext = {
  requestId: 'req_1',
  nowMs: 1_700_000_000_400,
  receivedAtMs: 1_700_000_000_020,
  model: 'asked',
  streamUsage: false,
};

function translated(from: DialectName, to: DialectName, body: unknown): JsonObject {
  const completion = dialectNamed(from).decodeAnswer(jsonObjectOf(JSON.stringify(body)) ?? {});
  if (!completion.ok) throw new Error(`${completion.error.code}: ${completion.error.message}`);
  return dialectNamed(to).encodeAnswer(completion.value, context);
}

const chat = (message: object, finish: string): object => ({
  id: 'c1',
  model: 'local',
  created: 5,
  system_fingerprint: 'fp',
  choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finish }],
  usage: { prompt_tokens: 10, completion_tokens: 4 },
});

describe('answers', () => {
  test('a forced tool call ends with stop at OpenAI and with tool_use at Anthropic', () => {
    const calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } }];
    const got = translated(
      'openai-chat',
      'anthropic-messages',
      chat({ content: null, tool_calls: calls }, 'stop'),
    );
    expect(got).toEqual({
      id: 'c1',
      type: 'message',
      role: 'assistant',
      model: 'local',
      content: [{ type: 'tool_use', id: 'a', name: 'f', input: { x: 1 } }],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: {
        input_tokens: 10,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
        output_tokens: 4,
      },
    });
  });

  test('arguments that are no object are wrapped and never become an empty call', () => {
    const calls = [
      { id: 'a', type: 'function', function: { name: 'rm', arguments: '{"path": "/tm' } },
    ];
    const got = translated(
      'openai-chat',
      'anthropic-messages',
      chat({ tool_calls: calls }, 'length'),
    );
    expect(got['content']).toEqual([
      { type: 'tool_use', id: 'a', name: 'rm', input: { INVALID_JSON: '{"path": "/tm' } },
    ]);
    expect(got['stop_reason']).toBe('max_tokens');
    const back = translated('anthropic-messages', 'openai-chat', got);
    expect(back).toHaveProperty(
      'choices.0.message.tool_calls.0.function.arguments',
      '{"path": "/tm',
    );
  });

  test('every stop reason has a counterpart that does not look more complete than it is', () => {
    const stop = (reason: string) => {
      const body = {
        id: 'm',
        model: 'c',
        content: [{ type: 'text', text: 'x' }],
        stop_reason: reason,
      };
      const [choice] = translated('anthropic-messages', 'openai-chat', body)[
        'choices'
      ] as readonly JsonObject[];
      return choice?.['finish_reason'];
    };
    expect(stop('end_turn')).toBe('stop');
    expect(stop('stop_sequence')).toBe('stop');
    expect(stop('max_tokens')).toBe('length');
    expect(stop('model_context_window_exceeded')).toBe('length');
    expect(stop('pause_turn')).toBe('length');
    expect(stop('refusal')).toBe('content_filter');
    expect(() => stop('brand_new')).toThrow('upstream_error');
    expect(() => translated('openai-chat', 'ask', chat({ content: 'x' }, 'abort'))).toThrow(
      'upstream_error',
    );
  });

  test('a refusal in words stays words', () => {
    const body = chat({ content: null, refusal: 'No.' }, 'stop');
    expect(translated('openai-chat', 'anthropic-messages', body)).toMatchObject({
      content: [{ type: 'text', text: 'No.' }],
      stop_reason: 'refusal',
    });
    expect(translated('openai-chat', 'openai-chat', body)).toMatchObject({
      system_fingerprint: 'fp',
      choices: [{ message: { content: null, refusal: 'No.' }, finish_reason: 'stop' }],
    });
    expect(translated('openai-chat', 'ask', body)).toEqual({
      model: 'local',
      latency_ms: 380,
      answer: 'No.',
      usage: expect.objectContaining({ total_tokens: 14 }) as JsonValue,
      request_id: 'req_1',
      stop: 'refusal',
    });
  });

  test('reasoning in the clear is shown to a Messages client, with an empty signature', () => {
    for (const name of ['reasoning_content', 'reasoning']) {
      const got = translated(
        'openai-chat',
        'anthropic-messages',
        chat({ content: 'x', [name]: 'Hm.' }, 'stop'),
      );
      expect(got['content']).toEqual([
        { type: 'thinking', thinking: 'Hm.', signature: '' },
        { type: 'text', text: 'x' },
      ]);
    }
  });

  test('thinking that stood between other blocks comes back to its place', () => {
    const content = [
      { type: 'text', text: 'a' },
      { type: 'thinking', thinking: 'b', signature: 's' },
      { type: 'tool_use', id: 't', name: 'f', input: {} },
    ];
    const body = { id: 'm', model: 'c', content, stop_reason: 'tool_use' };
    const answer = translated('anthropic-messages', 'openai-chat', body);
    const [choice] = answer['choices'] as readonly JsonObject[];
    const decoded = dialectNamed('openai-chat').decodeRequest({
      messages: [{ role: 'user', content: 'q' }, choice?.['message'] ?? null],
    });
    const encoded =
      decoded.ok &&
      dialectNamed('anthropic-messages').encodeRequest(decoded.value, {
        model: 'c',
        maxOutputTokens: 1,
      });
    expect(encoded && encoded.ok && encoded.value['messages']).toEqual([
      { role: 'user', content: 'q' },
      { role: 'assistant', content },
    ]);
  });

  test('an error with the status of a success is an error', () => {
    const failed = { error: { message: 'slow down', code: 429 } };
    expect(() => translated('openai-chat', 'ask', failed)).toThrow('upstream_rate_limited');
    const busy = { type: 'error', error: { type: 'overloaded_error', message: 'x' } };
    expect(() => translated('anthropic-messages', 'ask', busy)).toThrow('upstream_overloaded');
  });

  test('an answer that is not its protocol is the upstream’s breach', () => {
    const bodies = [
      {},
      { choices: [] },
      { choices: [{ message: 'x' }] },
      chat({ content: 5 }, 'stop'),
    ];
    for (const body of bodies)
      expect(() => translated('openai-chat', 'ask', body)).toThrow('upstream_error');
    expect(() => translated('anthropic-messages', 'ask', { content: [{ type: 'text' }] })).toThrow(
      'upstream_error',
    );
  });
});

describe('counting', () => {
  const body: JsonObject = {
    model: 'claude',
    system: 's',
    messages: [{ role: 'user', content: 'Hello there' }],
    tools: [{ name: 'f', input_schema: { type: 'object' } }],
  };

  test('a count request needs no cap and loses nothing of the prompt', () => {
    const decoded = dialectNamed('anthropic-messages').decodeRequest(body);
    if (!decoded.ok) throw new Error(decoded.error.message);
    expect(encodeCountRequest(decoded.value, 'up')).toEqual({
      ok: true,
      value: { ...body, model: 'up' },
    });
    expect(patchCountRequest('{"model":"a","messages":[ ]}', 'up')).toBe(
      '{"model":"up","messages":[ ]}',
    );
    expect(decodeCountAnswer(encodeCountAnswer(7))).toBe(7);
    expect(decodeCountAnswer({ input_tokens: 'x' })).toBe(undefined);
  });

  test('an estimate leans to the high side and grows with what is sent', () => {
    // 11 tokens by the tokenizers of the large providers.
    const sentence = 'The quick brown fox jumps over the lazy dog.';
    expect(estimateTextTokens(sentence)).toBe(14);
    expect(estimateTextTokens('漢字漢字')).toBe(4);
    expect(estimateTextTokens('')).toBe(0);
    const decoded = dialectNamed('anthropic-messages').decodeRequest(body);
    if (!decoded.ok) throw new Error(decoded.error.message);
    const small = estimateInputTokens(decoded.value);
    expect(small).toBe(377);
    const image = { kind: 'image', source: { kind: 'url', url: 'https://a.test' } } as const;
    const bigger = { ...decoded.value, messages: [{ role: 'user' as const, content: [image] }] };
    expect(estimateInputTokens(bigger)).toBeGreaterThan(1600);
  });
});

describe('folding', () => {
  const start: StreamEvent = { kind: 'start', id: 'i', model: 'm' };
  const open: StreamEvent = { kind: 'block-start', index: 0, block: { kind: 'text' } };
  const close: StreamEvent = { kind: 'block-stop', index: 0 };
  const finish: StreamEvent = { kind: 'finish', stop: 'end' };
  const end: StreamEvent = { kind: 'end' };

  test('a sequence that breaks its rules is refused with the rule', () => {
    const cases: readonly (readonly [readonly StreamEvent[], string])[] = [
      [[open], 'block-start before the start'],
      [[start, start], 'a second start'],
      [[start, open, open], 'block 0 starts twice'],
      [[start, close], 'block 0 stops without a start'],
      [[start, open, finish], 'a finish inside a block'],
      [[start, finish, finish], 'a second finish'],
      [[start, finish, open], 'a block after the finish'],
      [[start, end], 'an end without a finish'],
      [[start, finish, end, end], 'something follows the end'],
      [
        [start, open, { kind: 'block-delta', index: 0, delta: { kind: 'thinking', text: 'x' } }],
        'a thinking delta in a text block',
      ],
      [[start, finish], 'closed the stream before its end'],
      [[], 'closed the stream before its end'],
    ];
    for (const [events, why] of cases) {
      const folded = fold(events);
      expect(folded.ok ? 'folded' : folded.error.message).toContain(why);
    }
    expect(fold([start, open, close, finish, end])).toEqual({
      ok: true,
      value: { id: 'i', model: 'm', content: [], stop: 'end' },
    });
  });
});
