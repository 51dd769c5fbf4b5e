import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../base/index.ts';
import { concatBytes, jsonObjectOf, utf8, utf8Text } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import type { AnswerContext } from './dialect.ts';
import type { DialectName } from './model.ts';
import { dialectNamed } from './table.ts';

/** The worst request that a coding agent sends, and the worst stream that can answer it, between every pair. */

const context: AnswerContext = {
  requestId: 'req_1',
  nowMs: 1_700_000_000_500,
  receivedAtMs: 1_700_000_000_000,
  model: 'asked',
  streamUsage: true,
};

function translateRequest(from: DialectName, to: DialectName, body: unknown): JsonObject {
  const object = jsonObjectOf(JSON.stringify(body)) ?? {};
  const conversation = dialectNamed(from).decodeRequest(object);
  if (!conversation.ok)
    throw new Error(`${conversation.error.code}: ${conversation.error.message}`);
  const target = { model: 'up', maxOutputTokens: 4096 };
  const encoded = dialectNamed(to).encodeRequest(conversation.value, target);
  if (!encoded.ok) throw new Error(`${encoded.error.code}: ${encoded.error.message}`);
  return encoded.value;
}

interface Translated {
  readonly text: string;
  readonly refusal: Refusal | undefined;
}

function translateStream(
  from: DialectName,
  to: DialectName,
  pieces: readonly string[],
  over: Partial<AnswerContext> = {},
): Translated {
  const decoder = dialectNamed(from).streamDecoder();
  const encoder = dialectNamed(to).streamEncoder({ ...context, ...over });
  const out: Uint8Array[] = [];
  for (const piece of [...pieces, undefined]) {
    const events = piece === undefined ? decoder.finish() : decoder.push(utf8(piece));
    if (!events.ok) {
      out.push(dialectNamed(to).encodeStreamRefusal(events.error, 'req_1'));
      return { text: utf8Text(concatBytes(...out)) ?? '', refusal: events.error };
    }
    for (const event of events.value) out.push(encoder.encode(event));
  }
  return { text: utf8Text(concatBytes(...out)) ?? '', refusal: undefined };
}

/** The data of every frame, parsed, with its event name where it has one. */
function framesOf(text: string): readonly unknown[] {
  return text
    .split('\n\n')
    .filter((frame) => frame !== '')
    .map((frame) => {
      const data = /^data: (.*)$/m.exec(frame)?.[1] ?? '';
      return data === '[DONE]' ? data : (JSON.parse(data) as unknown);
    });
}

const worstAnthropic = {
  model: 'claude',
  max_tokens: 1000,
  stream: true,
  system: [
    { type: 'text', text: 'You are careful.', cache_control: { type: 'ephemeral', ttl: '1h' } },
    { type: 'text', text: 'You are brief.' },
  ],
  thinking: { type: 'enabled', budget_tokens: 2048 },
  tools: [
    {
      name: 'read',
      description: 'Reads a file',
      input_schema: { type: 'object', properties: { path: { type: 'string' } } },
      cache_control: { type: 'ephemeral' },
    },
  ],
  tool_choice: { type: 'auto', disable_parallel_tool_use: false },
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Compare.' },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
        { type: 'image', source: { type: 'url', url: 'https://example.test/a.png' } },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Two reads.', signature: 'c2ln' },
        { type: 'redacted_thinking', data: 'cmVk' },
        { type: 'text', text: 'Reading.' },
        { type: 'tool_use', id: 'toolu_1', name: 'read', input: { path: 'a' } },
        { type: 'tool_use', id: 'toolu_2', name: 'read', input: {} },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'toolu_1', content: 'A', is_error: false },
        {
          type: 'tool_result',
          tool_use_id: 'toolu_2',
          is_error: true,
          content: [
            { type: 'text', text: 'no such file' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'BBBB' } },
          ],
        },
        { type: 'text', text: 'Go on.', cache_control: { type: 'ephemeral' } },
      ],
    },
  ],
};

describe('requests', () => {
  test('the worst Messages request says all of it to a chat server', () => {
    expect(translateRequest('anthropic-messages', 'openai-chat', worstAnthropic)).toEqual({
      model: 'up',
      max_tokens: 1000,
      stream: true,
      stream_options: { include_usage: true },
      messages: [
        { role: 'system', content: 'You are careful.\n\nYou are brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Compare.' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
            { type: 'image_url', image_url: { url: 'https://example.test/a.png' } },
          ],
        },
        {
          role: 'assistant',
          content: 'Reading.',
          tool_calls: [
            {
              id: 'toolu_1',
              type: 'function',
              function: { name: 'read', arguments: '{"path":"a"}' },
            },
            { id: 'toolu_2', type: 'function', function: { name: 'read', arguments: '{}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'toolu_1', content: 'A' },
        { role: 'tool', tool_call_id: 'toolu_2', content: 'Error: no such file' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Files of the tool result toolu_2:' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,BBBB' } },
            { type: 'text', text: 'Go on.' },
          ],
        },
      ],
      tools: [
        {
          type: 'function',
          function: {
            name: 'read',
            description: 'Reads a file',
            parameters: { type: 'object', properties: { path: { type: 'string' } } },
          },
        },
      ],
      tool_choice: 'auto',
      parallel_tool_calls: true,
    });
  });

  test('the worst Messages request is the same after the canonical form', () => {
    const same = translateRequest('anthropic-messages', 'anthropic-messages', worstAnthropic);
    const [first, second, third] = worstAnthropic.messages;
    expect(same).toEqual({
      ...worstAnthropic,
      model: 'up',
      messages: [
        first,
        second,
        {
          ...third,
          // `false` is the default and is not said.
          content: [
            { type: 'tool_result', tool_use_id: 'toolu_1', content: 'A' },
            ...(third?.content.slice(1) ?? []),
          ],
        },
      ],
    });
  });

  test('a chat client sends signed reasoning, developer prompts and tool results back to a Messages server', () => {
    const body = {
      model: 'm',
      max_completion_tokens: 500,
      reasoning_effort: 'high',
      parallel_tool_calls: false,
      stop: 'END',
      user: 'u1',
      metadata: { a: 'b' },
      store: false,
      tools: [{ type: 'function', function: { name: 'read' } }],
      tool_choice: 'required',
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'n', strict: true, schema: { type: 'object' } },
      },
      messages: [
        { role: 'system', content: 'One.' },
        { role: 'developer', content: [{ type: 'text', text: 'Two.' }] },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'See' },
            { type: 'image_url', image_url: { url: 'data:image/jpeg;base64,QUJD', detail: 'low' } },
            {
              type: 'file',
              file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,UERG' },
            },
          ],
        },
        {
          role: 'assistant',
          content: null,
          reasoning_content: 'Hm.',
          thinking_blocks: [
            { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
            { type: 'redacted_thinking', data: 'cmVk' },
          ],
          tool_calls: [
            {
              id: 'functions.read:0',
              type: 'function',
              function: { name: 'read', arguments: '{"n":1}' },
            },
            { id: 'call_2', type: 'function', function: { name: 'read', arguments: '' } },
          ],
        },
        { role: 'tool', tool_call_id: 'functions.read:0', content: 'A' },
        { role: 'tool', tool_call_id: 'call_2', content: [{ type: 'text', text: 'B' }] },
        { role: 'user', content: 'Next' },
        { role: 'assistant', content: '{' },
      ],
    };
    expect(translateRequest('openai-chat', 'anthropic-messages', body)).toEqual({
      model: 'up',
      max_tokens: 500,
      system: [
        { type: 'text', text: 'One.' },
        { type: 'text', text: 'Two.' },
      ],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'See' },
            { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: 'QUJD' } },
            {
              type: 'document',
              title: 'a.pdf',
              source: { type: 'base64', media_type: 'application/pdf', data: 'UERG' },
            },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
            { type: 'redacted_thinking', data: 'cmVk' },
            { type: 'tool_use', id: 'functions_2e_read_3a_0', name: 'read', input: { n: 1 } },
            { type: 'tool_use', id: 'call_2', name: 'read', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'functions_2e_read_3a_0', content: 'A' },
            { type: 'tool_result', tool_use_id: 'call_2', content: 'B' },
            { type: 'text', text: 'Next' },
          ],
        },
        { role: 'assistant', content: '{' },
      ],
      tools: [{ name: 'read', input_schema: { type: 'object', properties: {} } }],
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
      thinking: { type: 'adaptive' },
      output_config: {
        effort: 'high',
        format: { type: 'json_schema', schema: { type: 'object' } },
      },
      stop_sequences: ['END'],
      metadata: { user_id: 'u1' },
    });
  });

  test('what another dialect cannot say is refused by name, and hints are not', () => {
    const chat = { model: 'm', messages: [{ role: 'user', content: 'x' }] };
    const cases: readonly (readonly [object, string])[] = [
      [{ seed: 1 }, 'seed'],
      [{ presence_penalty: 0.5 }, 'presence_penalty'],
      [{ frequency_penalty: -1 }, 'frequency_penalty'],
      [{ temperature: 1.5 }, 'temperature'],
      [{ n: 2 }, 'n'],
      [{ logprobs: true }, 'logprobs'],
      [{ logit_bias: { '1': 5 } }, 'logit_bias'],
      [{ store: true }, 'store'],
      [{ modalities: ['text', 'audio'] }, 'modalities'],
      [{ response_format: { type: 'json_object' } }, 'response_format'],
      [{ tools: [{ type: 'custom', custom: { name: 'x' } }] }, 'tools.0'],
      [
        {
          messages: [
            {
              role: 'user',
              content: [{ type: 'input_audio', input_audio: { data: 'AA', format: 'wav' } }],
            },
          ],
        },
        'messages.0.content.0',
      ],
      [
        { messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'f' } }] }] },
        'messages.0.content.0',
      ],
      [{ messages: [{ role: 'system', content: 'x' }] }, 'messages'],
    ];
    for (const [over, param] of cases) {
      const decoded = dialectNamed('openai-chat').decodeRequest({ ...chat, ...over });
      if (!decoded.ok) throw new Error(decoded.error.message);
      const encoded = dialectNamed('anthropic-messages').encodeRequest(decoded.value, {
        model: 'up',
        maxOutputTokens: undefined,
      });
      expect(encoded.ok ? 'encoded' : [encoded.error.code, encoded.error.param]).toEqual([
        'unsupported_parameter',
        param,
      ]);
    }
    const hints = {
      ...chat,
      logprobs: false,
      logit_bias: {},
      store: false,
      modalities: ['text'],
      presence_penalty: 0,
      n: 1,
      service_tier: 'auto',
      prompt_cache_key: 'k',
      seed: null,
    };
    expect(translateRequest('openai-chat', 'anthropic-messages', hints)).toEqual({
      model: 'up',
      max_tokens: 4096,
      messages: [{ role: 'user', content: 'x' }],
    });
    const server = {
      ...worstAnthropic,
      tools: [{ type: 'web_search_20250305', name: 'web_search' }],
    };
    expect(() => translateRequest('anthropic-messages', 'openai-chat', server)).toThrow('tools.0');
  });

  test('several prompts of a system stay in order, also between the turns', () => {
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'developer', content: 'now in French' },
      { role: 'user', content: 'c' },
    ];
    expect(translateRequest('openai-chat', 'anthropic-messages', { messages })['messages']).toEqual(
      [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'b' },
        { role: 'system', content: 'now in French' },
        { role: 'user', content: 'c' },
      ],
    );
  });

  test('the older functions become tools, and results find the call of their name', () => {
    const body = {
      functions: [{ name: 'f', parameters: { type: 'object' } }],
      function_call: { name: 'f' },
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"a":1}' } },
        { role: 'function', name: 'f', content: '2' },
      ],
    };
    expect(translateRequest('openai-chat', 'anthropic-messages', body)).toEqual({
      model: 'up',
      max_tokens: 4096,
      messages: [
        { role: 'user', content: 'x' },
        {
          role: 'assistant',
          content: [{ type: 'tool_use', id: 'call_legacy_1', name: 'f', input: { a: 1 } }],
        },
        {
          role: 'user',
          content: [{ type: 'tool_result', tool_use_id: 'call_legacy_1', content: '2' }],
        },
      ],
      tools: [{ name: 'f', input_schema: { type: 'object' } }],
      tool_choice: { type: 'tool', name: 'f' },
    });
  });

  test('a prompt with the name input is a turn for a chat model', () => {
    expect(
      translateRequest('openai-completions', 'openai-chat', { model: 'm', input: 'ping' }),
    ).toEqual({
      model: 'up',
      max_tokens: 4096,
      messages: [{ role: 'user', content: 'ping' }],
    });
    const ask = { prompt: 'why?', system: 'brief' };
    expect(translateRequest('ask', 'anthropic-messages', ask)).toEqual({
      model: 'up',
      max_tokens: 4096,
      system: 'brief',
      messages: [{ role: 'user', content: 'why?' }],
    });
  });
});

const chatChunks = (deltas: readonly object[], finish: string | null = null): readonly string[] =>
  deltas.map(
    (delta, index) =>
      `data: ${JSON.stringify({
        id: 'chatcmpl-9',
        object: 'chat.completion.chunk',
        created: 1_700_000_000,
        model: 'local',
        choices: [{ index: 0, delta, finish_reason: index === deltas.length - 1 ? finish : null }],
      })}\n\n`,
  );

const parallelTools = [
  { role: 'assistant', content: '', reasoning_content: 'Two ' },
  { reasoning_content: 'reads.' },
  { content: 'Reading.' },
  {
    tool_calls: [
      { index: 0, id: 'call_a', type: 'function', function: { name: 'read', arguments: '' } },
    ],
  },
  {
    tool_calls: [
      { index: 1, id: 'call_b', type: 'function', function: { name: 'read', arguments: '{"p' } },
    ],
  },
  { tool_calls: [{ index: 0, function: { arguments: '{"path":' } }] },
  {
    tool_calls: [
      { index: 1, function: { arguments: 'ath":2}' } },
      { index: 0, function: { arguments: '1}' } },
    ],
  },
  {},
];
const usageChunk = `data: ${JSON.stringify({
  id: 'chatcmpl-9',
  choices: [],
  usage: {
    prompt_tokens: 100,
    completion_tokens: 20,
    total_tokens: 120,
    prompt_tokens_details: { cached_tokens: 60 },
    completion_tokens_details: { reasoning_tokens: 5 },
  },
})}\n\n`;
const done = 'data: [DONE]\n\n';

describe('streams', () => {
  test('interleaved parallel tool calls reach a Messages client one block after the other', () => {
    const pieces = [...chatChunks(parallelTools, 'tool_calls'), usageChunk, done];
    const { text, refusal } = translateStream('openai-chat', 'anthropic-messages', pieces);
    expect(refusal).toBe(undefined);
    for (const frame of text.split('\n\n').filter((line) => line !== '')) {
      const type = /"type":"([a-z_]+)"/.exec(frame)?.[1];
      expect(frame.startsWith(`event: ${type}\n`)).toBe(true);
    }
    const usage = {
      input_tokens: 40,
      cache_read_input_tokens: 60,
      cache_creation_input_tokens: 0,
      cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
      output_tokens: 20,
      output_tokens_details: { thinking_tokens: 5 },
    };
    const delta = (index: number, body: object) => ({
      type: 'content_block_delta',
      index,
      delta: body,
    });
    const start = (index: number, block: object) => ({
      type: 'content_block_start',
      index,
      content_block: block,
    });
    const stop = (index: number) => ({ type: 'content_block_stop', index });
    expect(framesOf(text).slice(1)).toEqual([
      start(0, { type: 'thinking', thinking: '', signature: '' }),
      delta(0, { type: 'thinking_delta', thinking: 'Two ' }),
      delta(0, { type: 'thinking_delta', thinking: 'reads.' }),
      stop(0),
      start(1, { type: 'text', text: '' }),
      delta(1, { type: 'text_delta', text: 'Reading.' }),
      stop(1),
      start(2, { type: 'tool_use', id: 'call_a', name: 'read', input: {} }),
      delta(2, { type: 'input_json_delta', partial_json: '{"path":' }),
      delta(2, { type: 'input_json_delta', partial_json: '1}' }),
      stop(2),
      start(3, { type: 'tool_use', id: 'call_b', name: 'read', input: {} }),
      delta(3, { type: 'input_json_delta', partial_json: '{"p' }),
      delta(3, { type: 'input_json_delta', partial_json: 'ath":2}' }),
      stop(3),
      { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage },
      { type: 'message_stop' },
    ]);
    expect(framesOf(text)[0]).toMatchObject({
      type: 'message_start',
      message: { id: 'chatcmpl-9', role: 'assistant', model: 'local', content: [] },
    });
  });

  test('calls that all have the index 0 are told apart by their ids', () => {
    const call = (id: string) => ({
      tool_calls: [{ index: 0, id, type: 'function', function: { name: 'f', arguments: '{}' } }],
    });
    const chunks = chatChunks([{ role: 'assistant' }, call('a'), call('b'), {}], 'stop');
    const { text } = translateStream('openai-chat', 'openai-chat', [...chunks, done]);
    expect(text).toContain('"tool_calls":[{"index":0,"id":"a"');
    expect(text).toContain('"tool_calls":[{"index":1,"id":"b"');
    expect(text).toContain('"finish_reason":"tool_calls"');
  });

  test('an error after the first tool delta ends the stream as an error, in every dialect', () => {
    const error = `data: ${JSON.stringify({ error: { message: 'key sk-1 died', type: 'server_error' } })}\n\n`;
    const pieces = [...chatChunks(parallelTools.slice(0, 6)), error, done];
    const clients = ['anthropic-messages', 'openai-chat', 'openai-completions', 'ask'] as const;
    for (const to of clients) {
      const { text, refusal } = translateStream('openai-chat', to, pieces);
      expect(refusal?.code).toBe('upstream_error');
      expect(text).not.toContain('[DONE]');
      expect(text).not.toContain('message_stop');
      expect(text).not.toContain('message_delta');
      expect(text).not.toContain('sk-1');
      expect(framesOf(text).at(-1)).toHaveProperty('error.message');
    }
  });

  test('an error in the same packet as good frames does not swallow them', () => {
    const error =
      'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n';
    const whole = [...chatChunks(parallelTools.slice(0, 3)), error].join('');
    const { text, refusal } = translateStream('openai-chat', 'ask', [whole]);
    expect(text.startsWith('data: {"delta":"Reading."}\n\nevent: error\n')).toBe(true);
    expect(refusal?.code).toBe('upstream_overloaded');
  });

  test('a stream that breaks off anywhere is an error and never complete', () => {
    const pieces = [...chatChunks(parallelTools, 'tool_calls'), usageChunk, done];
    for (let length = 0; length < pieces.length; length += 1) {
      const { text, refusal } = translateStream(
        'openai-chat',
        'anthropic-messages',
        pieces.slice(0, length),
      );
      expect(refusal?.code).toBe('upstream_error');
      expect(text).not.toContain('message_stop');
    }
  });

  test('a signed Messages stream reaches a chat client with the signature in one opaque piece', () => {
    const event = (type: string, members: object) =>
      `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
    const pieces = [
      event('message_start', {
        message: {
          id: 'msg_1',
          model: 'claude',
          usage: {
            input_tokens: 10,
            cache_read_input_tokens: 5,
            cache_creation_input_tokens: 7,
            cache_creation: { ephemeral_1h_input_tokens: 3 },
            output_tokens: 1,
          },
        },
      }),
      event('content_block_start', { index: 0, content_block: { type: 'thinking', thinking: '' } }),
      'event: ping\ndata: {"type": "ping"}\n\n',
      event('content_block_delta', {
        index: 0,
        delta: { type: 'thinking_delta', thinking: 'Hm.' },
      }),
      event('content_block_delta', {
        index: 0,
        delta: { type: 'signature_delta', signature: 'c2' },
      }),
      event('content_block_delta', {
        index: 0,
        delta: { type: 'signature_delta', signature: 'ln' },
      }),
      event('content_block_stop', { index: 0 }),
      event('content_block_start', {
        index: 1,
        content_block: { type: 'redacted_thinking', data: 'r' },
      }),
      event('content_block_stop', { index: 1 }),
      event('content_block_start', {
        index: 2,
        content_block: { type: 'tool_use', id: 'toolu_1', name: 'now', input: {} },
      }),
      event('content_block_stop', { index: 2 }),
      event('message_delta', {
        delta: { stop_reason: 'tool_use', stop_sequence: null },
        usage: { output_tokens: 30 },
      }),
      event('message_stop', {}),
    ];
    const { text } = translateStream('anthropic-messages', 'openai-chat', pieces);
    const head = {
      id: 'msg_1',
      object: 'chat.completion.chunk',
      created: 1_700_000_000,
      model: 'claude',
    };
    const chunk = (delta: object, reason: string | null = null) => ({
      ...head,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
      usage: null,
    });
    expect(framesOf(text)).toEqual([
      chunk({ role: 'assistant', content: '' }),
      chunk({ reasoning_content: 'Hm.' }),
      chunk({ thinking_blocks: [{ type: 'thinking', thinking: 'Hm.', signature: 'c2ln' }] }),
      chunk({ thinking_blocks: [{ type: 'redacted_thinking', data: 'r' }] }),
      chunk({
        tool_calls: [
          { index: 0, id: 'toolu_1', type: 'function', function: { name: 'now', arguments: '' } },
        ],
      }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '{}' } }] }),
      chunk({}, 'tool_calls'),
      {
        ...head,
        choices: [],
        usage: {
          prompt_tokens: 22,
          completion_tokens: 30,
          total_tokens: 52,
          prompt_tokens_details: { cached_tokens: 5, cache_write_tokens: 7 },
          completion_tokens_details: { reasoning_tokens: 0 },
        },
      },
      '[DONE]',
    ]);
    const quiet = translateStream('anthropic-messages', 'openai-chat', pieces, {
      streamUsage: false,
    });
    expect(quiet.text).not.toContain('usage');
    expect(quiet.text.endsWith(done)).toBe(true);
  });

  test('a delta that does not fit its block is a breach of the upstream, as are two starts', () => {
    const start = 'event: message_start\ndata: {"type":"message_start","message":{"id":"m"}}\n\n';
    const block =
      'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n';
    const wrong =
      'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"x"}}\n\n';
    for (const pieces of [[start, start], [start, block, wrong], [start, block, block], [block]]) {
      const { refusal } = translateStream('anthropic-messages', 'openai-chat', pieces);
      expect(refusal?.code).toBe('upstream_error');
    }
  });

  test('the ask stream gives deltas and then the answer without its text', () => {
    const pieces = [
      ...chatChunks([{ role: 'assistant' }, { content: 'Hi' }, { content: ' you' }, {}], 'length'),
      usageChunk,
      done,
    ];
    const { text } = translateStream('openai-chat', 'ask', pieces, {
      clock: () => context.receivedAtMs + 900,
    });
    expect(framesOf(text)).toEqual([
      { delta: 'Hi' },
      { delta: ' you' },
      {
        model: 'local',
        latency_ms: 900,
        usage: expect.objectContaining({ prompt_tokens: 100, completion_tokens: 20 }),
        request_id: 'req_1',
        stop: 'length',
      },
    ]);
  });

  test('a client of the older functions gets function_call deltas', () => {
    const pieces = [...chatChunks(parallelTools, 'tool_calls'), done];
    const { text } = translateStream('openai-chat', 'openai-chat', pieces, {
      legacyFunctions: true,
    });
    expect(text).toContain('"function_call":{"name":"read","arguments":""}');
    expect(text).not.toContain('tool_calls');
    expect(text).toContain('"finish_reason":"function_call"');
  });
});
