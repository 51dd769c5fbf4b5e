import Anthropic, {
  APIError,
  AuthenticationError,
  NotFoundError,
  PermissionDeniedError,
} from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  dataFrames,
  type ScriptedUpstream,
  sse,
  startScriptedUpstream,
  typedFrames,
} from '../fakes/scripted-upstream.ts';
import { granting, keysAsTags, startGateway, type TestGateway } from './gateway.ts';

let upstream: ScriptedUpstream;
let gateway: TestGateway;
let client: Anthropic;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    env: { UP_KEY: 'sk-upstream-canary' },
    config: {
      providers: {
        oai: {
          kind: 'openai',
          baseUrl: `${upstream.url}/v1`,
          key: { env: 'UP_KEY' },
          models: ['gpt-x'],
        },
        ant: {
          kind: 'anthropic',
          baseUrl: upstream.url,
          key: { env: 'UP_KEY' },
          models: ['claude-x'],
          maxOutputTokens: 8192,
        },
      },
      identities: keysAsTags('sdk'),
    },
    policy: granting({ 'tag:sdk': { models: ['**'] } }),
  });
  client = new Anthropic({ baseURL: gateway.url, apiKey: await gateway.key('sdk'), maxRetries: 0 });
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

function last() {
  const request = upstream.received.at(-1);
  if (request === undefined) throw new Error('the upstream received nothing');
  return request;
}
function header(name: string): string | undefined {
  return last().headers.find(([each]) => each === name)?.[1];
}
/** Frames of the Messages API; their payload is whatever the test needs. */
function frames(...values: readonly object[]): string {
  return typedFrames(...(values as readonly { readonly type: string }[]));
}

/** A field that the client's types do not know. */
const betaField = { x_beta_field: [1, { z: 1, a: 2 }] };
const start = {
  type: 'message_start',
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-x-2026',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 9, output_tokens: 1 },
  },
};
const stop = [
  {
    type: 'message_delta',
    delta: { stop_reason: 'end_turn', stop_sequence: null },
    usage: { output_tokens: 5 },
  },
  { type: 'message_stop' },
];
const message = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-x-2026',
  content: [{ type: 'text', text: 'Hello' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 9, output_tokens: 1 },
  x_new: { kept: true },
};
const tools: Anthropic.Tool[] = [
  {
    name: 'weather',
    description: 'Weather of a city',
    input_schema: { type: 'object', properties: { city: { type: 'string' } } },
  },
];

describe('Anthropic in, Anthropic out', () => {
  test('a whole answer passes through; cache markers, order and unknown fields stay byte for byte', async () => {
    upstream.expect({ pieces: [JSON.stringify(message)] });
    const { data, response } = await client.messages
      .create(
        {
          model: 'ant/claude-x',
          max_tokens: 64,
          system: [
            { type: 'text', text: 'Long prompt', cache_control: { type: 'ephemeral', ttl: '1h' } },
          ],
          messages: [{ role: 'user', content: 'hi' }],
          tools,
          thinking: { type: 'enabled', budget_tokens: 1024 },
          ...betaField,
        },
        {
          headers: { 'anthropic-beta': 'context-1m-2025-08-07', 'x-claude-code-session-id': 's-1' },
        },
      )
      .withResponse();
    expect(last().url).toBe('/v1/messages');
    expect(last().body).toBe(
      '{"model":"claude-x","max_tokens":64,"system":[{"type":"text","text":"Long prompt","cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"weather","description":"Weather of a city","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}],"thinking":{"type":"enabled","budget_tokens":1024},"x_beta_field":[1,{"z":1,"a":2}]}',
    );
    expect(header('anthropic-beta')).toBe('context-1m-2025-08-07');
    expect(header('anthropic-version')).toMatch(/^20\d\d-\d\d-\d\d$/);
    expect(header('x-api-key')).toBe('sk-upstream-canary');
    expect(header('authorization')).toBeUndefined();
    expect(data).toMatchObject({
      content: [{ type: 'text', text: 'Hello' }],
      x_new: { kept: true },
    });
    expect(response.headers.get('request-id')).toMatch(/^[0-9a-z]{26}$/);
  });

  test('a stream with signed thinking passes through unharmed', async () => {
    upstream.expect({
      headers: sse,
      pieces: [
        frames(
          start,
          {
            type: 'content_block_start',
            index: 0,
            content_block: { type: 'thinking', thinking: '', signature: '' },
          },
          {
            type: 'content_block_delta',
            index: 0,
            delta: { type: 'thinking_delta', thinking: 'hm' },
          },
        ),
        frames(
          {
            type: 'content_block_delta',
            index: 0,
            delta: { type: 'signature_delta', signature: 'c2ln' },
          },
          { type: 'content_block_stop', index: 0 },
          { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
          { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Hello' } },
          { type: 'content_block_stop', index: 1 },
          ...stop,
        ),
      ],
    });
    const final = await client.messages
      .stream({
        model: 'ant/claude-x',
        max_tokens: 64,
        messages: [{ role: 'user', content: 'hi' }],
      })
      .finalMessage();
    expect(final.content).toMatchObject([
      { type: 'thinking', thinking: 'hm', signature: 'c2ln' },
      { type: 'text', text: 'Hello' },
    ]);
    expect(final.usage).toMatchObject({ input_tokens: 9, output_tokens: 5 });
    await gateway.logged(
      (line) =>
        line['model'] === 'ant/claude-x' &&
        line['output_tokens'] === 5 &&
        line['outcome'] === 'complete',
    );
  });

  test('tokens are counted by the provider itself, with the same changes to the body', async () => {
    upstream.expect({ pieces: ['{"input_tokens":42}'] });
    const counted = await client.messages.countTokens({
      model: 'ant/claude-x',
      messages: [{ role: 'user', content: 'hi' }],
    });
    expect(counted.input_tokens).toBe(42);
    expect(last().url).toBe('/v1/messages/count_tokens');
    expect(last().body).toBe('{"model":"claude-x","messages":[{"role":"user","content":"hi"}]}');
  });

  test('errors have the classes of the client, before and inside a stream', async () => {
    upstream.expect({
      status: 529,
      pieces: ['{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'],
    });
    const overloaded = await client.messages
      .create({ model: 'ant/claude-x', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] })
      .catch((cause: unknown) => cause);
    expect(overloaded).toBeInstanceOf(APIError);
    expect(overloaded).toMatchObject({
      status: 503,
      error: { type: 'error', error: { type: 'overloaded_error' } },
    });

    upstream.expect({
      headers: sse,
      pieces: [
        frames(
          start,
          { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
          { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } },
        ),
        {
          wait: new Promise((resolve) => {
            setTimeout(resolve, 20);
          }),
        },
        { cut: true },
      ],
    });
    const seen: string[] = [];
    const stream = client.messages
      .stream({ model: 'ant/claude-x', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] })
      .on('text', (text) => seen.push(text));
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(APIError);
    expect(seen.join('')).toBe('Hel');
  });

  test('an unknown model, a wrong key and a caller without any grant are told apart as the API does', async () => {
    const ask = { max_tokens: 5, messages: [{ role: 'user' as const, content: 'x' }] };
    await expect(client.messages.create({ model: 'ant/none', ...ask })).rejects.toBeInstanceOf(
      NotFoundError,
    );
    const typo = new Anthropic({ baseURL: gateway.url, apiKey: 'pst_wrong', maxRetries: 0 });
    await expect(typo.messages.create({ model: 'ant/claude-x', ...ask })).rejects.toBeInstanceOf(
      AuthenticationError,
    );
    const other = new Anthropic({
      baseURL: gateway.url,
      apiKey: await gateway.key('no-grant'),
      maxRetries: 0,
    });
    await expect(other.messages.create({ model: 'ant/claude-x', ...ask })).rejects.toBeInstanceOf(
      PermissionDeniedError,
    );
  });

  test('an abort closes the upstream', async () => {
    let release: (value: unknown) => void = () => undefined;
    upstream.expect({
      headers: sse,
      pieces: [
        frames(
          start,
          { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
          { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } },
        ),
        {
          wait: new Promise((resolve) => {
            release = resolve;
          }),
        },
      ],
    });
    const stream = client.messages.stream({
      model: 'ant/claude-x',
      max_tokens: 5,
      messages: [{ role: 'user', content: 'x' }],
    });
    stream.on('text', () => stream.abort());
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(APIError);
    await last().aborted;
    release(undefined);
  });

  test('the list of models has the shape of the API and pages', async () => {
    const names: string[] = [];
    for await (const model of client.models.list({ limit: 2 })) names.push(model.id);
    expect(names).toEqual(['oai/gpt-x', 'ant/claude-x', 'builtin/eliza']);
    expect((await client.models.retrieve('ant/claude-x')).type).toBe('model');
  });
});

describe('Anthropic in, OpenAI out', () => {
  test('a conversation with tools, results and an image becomes one chat request', async () => {
    upstream.expect({
      pieces: [
        '{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\\"city\\":\\"Rome\\"}"}},{"id":"c2","type":"function","function":{"name":"weather","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":20,"completion_tokens":6,"total_tokens":26,"prompt_tokens_details":{"cached_tokens":8}}}',
      ],
    });
    const answer = await client.messages.create({
      model: 'oai/gpt-x',
      max_tokens: 50,
      system: 'Be brief.',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Look' },
            {
              type: 'image',
              source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' },
            },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'I call.' },
            { type: 'tool_use', id: 'a', name: 'weather', input: { city: 'Oslo' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: 'rain' },
            { type: 'text', text: 'and?' },
          ],
        },
      ],
      tools,
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
      stop_sequences: ['END'],
    });
    expect(last().url).toBe('/v1/chat/completions');
    expect(header('authorization')).toBe('Bearer sk-upstream-canary');
    expect(header('anthropic-version')).toBeUndefined();
    expect(JSON.parse(last().body)).toEqual({
      model: 'gpt-x',
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Look' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
          ],
        },
        {
          role: 'assistant',
          content: 'I call.',
          tool_calls: [
            {
              id: 'a',
              type: 'function',
              function: { name: 'weather', arguments: '{"city":"Oslo"}' },
            },
          ],
        },
        { role: 'tool', tool_call_id: 'a', content: 'rain' },
        { role: 'user', content: 'and?' },
      ],
      max_tokens: 50,
      stop: ['END'],
      tools: [
        {
          type: 'function',
          function: {
            name: 'weather',
            description: 'Weather of a city',
            parameters: { type: 'object', properties: { city: { type: 'string' } } },
          },
        },
      ],
      tool_choice: 'required',
      parallel_tool_calls: false,
    });
    expect(answer).toMatchObject({
      type: 'message',
      role: 'assistant',
      stop_reason: 'tool_use',
      content: [
        { type: 'tool_use', id: 'c1', name: 'weather', input: { city: 'Rome' } },
        { type: 'tool_use', id: 'c2', name: 'weather', input: {} },
      ],
      usage: { input_tokens: 12, cache_read_input_tokens: 8, output_tokens: 6 },
    });
  });

  test('a stream with interleaved parallel tool calls becomes blocks that open and close in order', async () => {
    const chunk = (delta: object, finish: string | null = null) => ({
      id: 'chatcmpl-1',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'gpt-x',
      choices: [{ index: 0, delta, finish_reason: finish }],
    });
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(
          chunk({ role: 'assistant', content: '' }),
          chunk({ content: 'Calling' }),
          chunk({
            tool_calls: [
              {
                index: 0,
                id: 'c1',
                type: 'function',
                function: { name: 'weather', arguments: '' },
              },
            ],
          }),
          chunk({
            tool_calls: [
              {
                index: 1,
                id: 'c2',
                type: 'function',
                function: { name: 'weather', arguments: '{"ci' },
              },
            ],
          }),
          chunk({ tool_calls: [{ index: 0, function: { arguments: '{"city":"Rome"}' } }] }),
          chunk({ tool_calls: [{ index: 1, function: { arguments: 'ty":"Oslo"}' } }] }),
          chunk({}, 'tool_calls'),
          {
            ...chunk({}),
            choices: [],
            usage: { prompt_tokens: 20, completion_tokens: 6, total_tokens: 26 },
          },
          '[DONE]',
        ),
      ],
    });
    const events: string[] = [];
    const stream = client.messages.stream({
      model: 'oai/gpt-x',
      max_tokens: 50,
      messages: [{ role: 'user', content: 'x' }],
      tools,
    });
    stream.on('streamEvent', (event) => events.push(event.type));
    const final = await stream.finalMessage();
    expect(final.content).toMatchObject([
      { type: 'text', text: 'Calling' },
      { type: 'tool_use', id: 'c1', name: 'weather', input: { city: 'Rome' } },
      { type: 'tool_use', id: 'c2', name: 'weather', input: { city: 'Oslo' } },
    ]);
    expect(final.stop_reason).toBe('tool_use');
    expect(final.usage).toMatchObject({ input_tokens: 20, output_tokens: 6 });
    expect(events.filter((type) => type === 'message_start')).toHaveLength(1);
    expect(events.at(-1)).toBe('message_stop');
    expect(JSON.parse(last().body)).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test('a stream error of the upstream is an error event of the Messages API', async () => {
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(
          {
            id: 'x',
            object: 'chat.completion.chunk',
            created: 1,
            model: 'gpt-x',
            choices: [
              { index: 0, delta: { role: 'assistant', content: 'a' }, finish_reason: null },
            ],
          },
          { error: { message: 'out of memory', type: 'server_error' } },
        ),
      ],
    });
    await expect(
      client.messages
        .stream({ model: 'oai/gpt-x', max_tokens: 50, messages: [{ role: 'user', content: 'x' }] })
        .finalMessage(),
    ).rejects.toBeInstanceOf(APIError);
  });

  test('tokens are estimated where the provider cannot count', async () => {
    const before = upstream.received.length;
    const counted = await client.messages.countTokens({
      model: 'oai/gpt-x',
      messages: [{ role: 'user', content: 'one two three four' }],
    });
    expect(counted.input_tokens).toBeGreaterThan(3);
    expect(counted.input_tokens).toBeLessThan(60);
    expect(upstream.received.length).toBe(before);
  });
});
