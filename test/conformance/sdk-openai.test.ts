import OpenAI, { APIError, APIUserAbortError, AuthenticationError, NotFoundError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  dataFrames,
  sse,
  startScriptedUpstream,
  typedFrames,
  type ScriptedUpstream,
} from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway } from './gateway.ts';

let upstream: ScriptedUpstream;
let gateway: TestGateway;
let client: OpenAI;

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
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  client = new OpenAI({
    baseURL: `${gateway.url}/v1`,
    apiKey: await gateway.key('sdk'),
    maxRetries: 0,
  });
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

/** A field that the client's types do not know. */
const vendorField = { x_vendor_field: { b: 1, a: 2 } };
const tool = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'Weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
} as const;
const chunk = (delta: object, finish: string | null = null) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1_700_000_000,
  model: 'gpt-x-2026',
  choices: [{ index: 0, delta, finish_reason: finish }],
});

describe('OpenAI in, OpenAI out', () => {
  test('a whole answer passes through, and only the model and the cap are changed on the way', async () => {
    upstream.expect({
      pieces: [
        '{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-x-2026","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4},"service_tier":"default","x_unknown":{"kept":1.0}}',
      ],
    });
    const { data, response } = await client.chat.completions
      .create({
        model: 'oai/gpt-x',
        messages: [{ role: 'user', content: 'hi' }],
        max_tokens: 5,
        ...vendorField,
      })
      .withResponse();
    expect(last().url).toBe('/v1/chat/completions');
    expect(last().body).toBe(
      '{"model":"gpt-x","messages":[{"role":"user","content":"hi"}],"max_tokens":5,"x_vendor_field":{"b":1,"a":2}}',
    );
    expect(header('authorization')).toBe('Bearer sk-upstream-canary');
    expect(
      last()
        .headers.map(([name]) => name)
        .filter((name) => /^x-stainless|user-agent|cookie|forwarded/.test(name)),
    ).toEqual([]);
    expect(data.choices[0]?.message.content).toBe('Hello');
    expect(JSON.stringify(data)).toContain('"x_unknown":{"kept":1}');
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-z]{26}$/);
  });

  test('a stream passes through; usage is asked for upstream and not shown to who did not ask', async () => {
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(chunk({ role: 'assistant', content: '' }), chunk({ content: 'Hel' })),
        dataFrames(
          chunk({ content: 'lo' }),
          chunk({}, 'stop'),
          {
            ...chunk({}),
            choices: [],
            usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
          },
          '[DONE]',
        ),
      ],
    });
    const stream = await client.chat.completions.create({
      model: 'oai/gpt-x',
      messages: [{ role: 'user', content: 'hi' }],
      max_tokens: 5,
      stream: true,
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const each of stream) chunks.push(each);
    expect(last().body).toBe(
      '{"model":"gpt-x","messages":[{"role":"user","content":"hi"}],"max_tokens":5,"stream":true,"stream_options":{"include_usage":true}}',
    );
    expect(chunks.map((each) => each.choices[0]?.delta.content ?? '').join('')).toBe('Hello');
    expect(chunks.every((each) => each.choices.length === 1)).toBe(true);
    const line = await gateway.logged(
      (each) =>
        each['model'] === 'oai/gpt-x' && each['input_tokens'] === 3 && each['output_tokens'] === 2,
    );
    expect(line).toMatchObject({ outcome: 'complete', target: 'oai/gpt-x', status: 200 });
  });

  test('usage is shown to who asked for it, once', async () => {
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(
          chunk({ role: 'assistant', content: 'x' }),
          chunk({}, 'stop'),
          {
            ...chunk({}),
            choices: [],
            usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
          },
          '[DONE]',
        ),
      ],
    });
    const stream = await client.chat.completions.create({
      model: 'oai/gpt-x',
      messages: [{ role: 'user', content: 'hi' }],
      max_tokens: 5,
      stream: true,
      stream_options: { include_usage: true },
    });
    const usages: unknown[] = [];
    for await (const each of stream) if (each.usage) usages.push(each.usage);
    expect(usages).toEqual([{ prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }]);
  });

  test('the cap of the gateway is sent where the caller sent none', async () => {
    upstream.expect({
      pieces: [
        '{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}',
      ],
    });
    await client.chat.completions.create({
      model: 'oai/gpt-x',
      messages: [{ role: 'user', content: 'hi' }],
    });
    expect(JSON.parse(last().body)).toMatchObject({ model: 'gpt-x', max_tokens: 4096 });
  });

  test('an error of the upstream arrives as its class, with its words and its retry-after', async () => {
    upstream.expect({
      status: 400,
      pieces: [
        '{"error":{"message":"temperature is too high","type":"invalid_request_error","param":"temperature","code":null}}',
      ],
    });
    await expect(
      client.chat.completions.create({
        model: 'oai/gpt-x',
        messages: [{ role: 'user', content: 'hi' }],
        temperature: 2,
      }),
    ).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('temperature is too high'),
    });
    upstream.expect({
      status: 429,
      headers: { 'retry-after': '7' },
      pieces: [
        '{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}',
      ],
    });
    const limited = await client.chat.completions
      .create({ model: 'oai/gpt-x', messages: [{ role: 'user', content: 'hi' }] })
      .catch((cause: unknown) => cause);
    expect(limited).toMatchObject({ status: 429 });
    expect((limited as APIError).headers?.get('retry-after')).toBe('7');
  });

  test('a refused credential of the gateway is never a 401 of the caller', async () => {
    upstream.expect({
      status: 401,
      pieces: [
        '{"error":{"message":"Incorrect API key provided: sk-upstream-canary","type":"invalid_request_error","code":"invalid_api_key"}}',
      ],
    });
    const failed = await client.chat.completions
      .create({ model: 'oai/gpt-x', messages: [{ role: 'user', content: 'hi' }] })
      .catch((cause: unknown) => cause);
    expect(failed).toMatchObject({ status: 502, code: 'upstream_credential' });
    expect(JSON.stringify([failed, String(failed), gateway.log])).not.toContain(
      'sk-upstream-canary',
    );
  });

  test('an upstream that breaks off mid-stream is an error, never a clean end', async () => {
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(chunk({ role: 'assistant', content: 'Hel' })),
        { wait: sleep(30) },
        { cut: true },
      ],
    });
    const stream = await client.chat.completions.create({
      model: 'oai/gpt-x',
      messages: [{ role: 'user', content: 'hi' }],
      stream: true,
    });
    const seen: string[] = [];
    const failed = await (async () => {
      for await (const each of stream) seen.push(each.choices[0]?.delta.content ?? '');
    })().catch((cause: unknown) => cause);
    expect(seen.join('')).toBe('Hel');
    expect(failed).toBeInstanceOf(APIError);
  });

  test('an upstream that closes without the end of its protocol is an error too', async () => {
    upstream.expect({
      headers: sse,
      pieces: [dataFrames(chunk({ role: 'assistant', content: 'Hel' }))],
    });
    const stream = await client.chat.completions.create({
      model: 'oai/gpt-x',
      messages: [{ role: 'user', content: 'hi' }],
      stream: true,
    });
    await expect(
      (async () => {
        for await (const each of stream) void each;
      })(),
    ).rejects.toBeInstanceOf(APIError);
  });

  test('an abort of the caller closes the upstream at once', async () => {
    let release: (value: unknown) => void = () => undefined;
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(chunk({ role: 'assistant', content: 'Hel' })),
        {
          wait: new Promise((resolve) => {
            release = resolve;
          }),
        },
      ],
    });
    const controller = new AbortController();
    const stream = await client.chat.completions.create(
      { model: 'oai/gpt-x', messages: [{ role: 'user', content: 'abort me' }], stream: true },
      { signal: controller.signal },
    );
    // Leaving the loop by an abort ends it quietly or with the client's own error, never with one of ours.
    const left = (async () => {
      for await (const each of stream) {
        void each;
        controller.abort();
      }
    })().catch((cause: unknown) => cause);
    await last().aborted;
    release(undefined);
    expect(
      [undefined, APIUserAbortError].some((kind) => kind === undefined || left instanceof kind),
    ).toBe(true);
    await left;
    await gateway.logged((line) => line['outcome'] === 'aborted' && line['model'] === 'oai/gpt-x');
  });

  test('errors of the gateway itself have their classes', async () => {
    const before = upstream.received.length;
    await expect(
      client.chat.completions.create({
        model: 'oai/nope',
        messages: [{ role: 'user', content: 'hi' }],
      }),
    ).rejects.toBeInstanceOf(NotFoundError);
    const stranger = new OpenAI({
      baseURL: `${gateway.url}/v1`,
      apiKey: 'sk-foreign',
      maxRetries: 0,
    });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(AuthenticationError);
    expect(upstream.received.length).toBe(before);
  });

  test('models are listed and found by their full names', async () => {
    const names: string[] = [];
    for await (const model of client.models.list()) names.push(model.id);
    expect(names).toEqual(['oai/gpt-x', 'ant/claude-x', 'builtin/eliza']);
    expect((await client.models.retrieve('oai/gpt-x')).owned_by).toBe('oai');
    await expect(client.models.retrieve('oai/nope')).rejects.toBeInstanceOf(NotFoundError);
  });

  test('legacy completions pass through to a server that speaks them', async () => {
    upstream.expect({
      pieces: [
        '{"id":"cmpl-1","object":"text_completion","created":1,"model":"gpt-x","choices":[{"text":"pong","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}',
      ],
    });
    const answer = await client.completions.create({
      model: 'oai/gpt-x',
      prompt: 'ping',
      max_tokens: 4,
    });
    expect(last().url).toBe('/v1/completions');
    expect(last().body).toBe('{"model":"gpt-x","prompt":"ping","max_tokens":4}');
    expect(answer.choices[0]?.text).toBe('pong');
  });
});

describe('OpenAI in, Anthropic out', () => {
  test('system, tools, parallel calls, results and an image become one Messages request', async () => {
    upstream.expect({
      pieces: [
        JSON.stringify({
          id: 'msg_1',
          type: 'message',
          role: 'assistant',
          model: 'claude-x',
          content: [{ type: 'text', text: 'Both.' }],
          stop_reason: 'end_turn',
          stop_sequence: null,
          usage: {
            input_tokens: 10,
            output_tokens: 2,
            cache_read_input_tokens: 4,
            cache_creation_input_tokens: 1,
          },
        }),
      ],
    });
    const answer = await client.chat.completions.create({
      model: 'ant/claude-x',
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
          content: null,
          tool_calls: [
            {
              id: 'a',
              type: 'function',
              function: { name: 'weather', arguments: '{"city":"Oslo"}' },
            },
            { id: 'b', type: 'function', function: { name: 'weather', arguments: '' } },
          ],
        },
        { role: 'tool', tool_call_id: 'a', content: 'rain' },
        { role: 'tool', tool_call_id: 'b', content: 'sun' },
      ],
      tools: [tool],
      tool_choice: 'required',
      stop: ['END'],
    });
    expect(last().url).toBe('/v1/messages');
    expect(header('x-api-key')).toBe('sk-upstream-canary');
    expect(header('anthropic-version')).toBe('2023-06-01');
    expect(JSON.parse(last().body)).toEqual({
      model: 'claude-x',
      max_tokens: 8192,
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
            { type: 'tool_use', id: 'a', name: 'weather', input: { city: 'Oslo' } },
            { type: 'tool_use', id: 'b', name: 'weather', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: 'rain' },
            { type: 'tool_result', tool_use_id: 'b', content: 'sun' },
          ],
        },
      ],
      tools: [
        {
          name: 'weather',
          description: 'Weather of a city',
          input_schema: tool.function.parameters,
        },
      ],
      tool_choice: { type: 'any' },
      stop_sequences: ['END'],
    });
    expect(answer.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { role: 'assistant', content: 'Both.' },
    });
    expect(answer.usage).toMatchObject({
      prompt_tokens: 15,
      completion_tokens: 2,
      total_tokens: 17,
      prompt_tokens_details: { cached_tokens: 4 },
    });
  });

  test('a stream of thinking, text and two tool calls arrives as deltas that the client can put together', async () => {
    upstream.expect({
      headers: sse,
      pieces: [
        typedFrames(
          {
            type: 'message_start',
            message: {
              id: 'msg_1',
              type: 'message',
              role: 'assistant',
              model: 'claude-x',
              content: [],
              stop_reason: null,
              stop_sequence: null,
              usage: { input_tokens: 9, output_tokens: 1 },
            },
          },
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
          {
            type: 'content_block_delta',
            index: 0,
            delta: { type: 'signature_delta', signature: 'sig==' },
          },
          { type: 'content_block_stop', index: 0 },
          { type: 'ping' },
        ),
        typedFrames(
          { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
          {
            type: 'content_block_delta',
            index: 1,
            delta: { type: 'text_delta', text: 'Calling' },
          },
          { type: 'content_block_stop', index: 1 },
          {
            type: 'content_block_start',
            index: 2,
            content_block: { type: 'tool_use', id: 'tu_1', name: 'weather', input: {} },
          },
          {
            type: 'content_block_delta',
            index: 2,
            delta: { type: 'input_json_delta', partial_json: '{"city":' },
          },
          {
            type: 'content_block_delta',
            index: 2,
            delta: { type: 'input_json_delta', partial_json: '"Oslo"}' },
          },
          { type: 'content_block_stop', index: 2 },
          {
            type: 'content_block_start',
            index: 3,
            content_block: { type: 'tool_use', id: 'tu_2', name: 'weather', input: {} },
          },
          { type: 'content_block_stop', index: 3 },
          {
            type: 'message_delta',
            delta: { stop_reason: 'tool_use', stop_sequence: null },
            usage: { output_tokens: 7 },
          },
          { type: 'message_stop' },
        ),
      ],
    });
    const runner = client.chat.completions.stream({
      model: 'ant/claude-x',
      messages: [{ role: 'user', content: 'weather?' }],
      tools: [tool],
      stream_options: { include_usage: true },
    });
    const final = await runner.finalChatCompletion();
    expect(final.choices[0]?.finish_reason).toBe('tool_calls');
    expect(final.choices[0]?.message.content).toBe('Calling');
    expect(
      final.choices[0]?.message.tool_calls?.map((call) =>
        call.type === 'function' ? [call.id, call.function.name, call.function.arguments] : [],
      ),
    ).toEqual([
      ['tu_1', 'weather', '{"city":"Oslo"}'],
      ['tu_2', 'weather', '{}'],
    ]);
    expect(final.usage).toMatchObject({ prompt_tokens: 9, completion_tokens: 7 });
    expect(JSON.parse(last().body)).toMatchObject({ stream: true, max_tokens: 8192 });
  });

  test('an error event in the middle of the upstream stream is an error of the client', async () => {
    upstream.expect({
      headers: sse,
      pieces: [
        typedFrames(
          {
            type: 'message_start',
            message: {
              id: 'msg_1',
              type: 'message',
              role: 'assistant',
              model: 'claude-x',
              content: [],
              stop_reason: null,
              stop_sequence: null,
              usage: { input_tokens: 9, output_tokens: 1 },
            },
          },
          {
            type: 'content_block_start',
            index: 0,
            content_block: { type: 'tool_use', id: 'tu_1', name: 'weather', input: {} },
          },
          {
            type: 'content_block_delta',
            index: 0,
            delta: { type: 'input_json_delta', partial_json: '{"ci' },
          },
          { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
        ),
      ],
    });
    const stream = await client.chat.completions.create({
      model: 'ant/claude-x',
      messages: [{ role: 'user', content: 'x' }],
      tools: [tool],
      stream: true,
    });
    const finishes: unknown[] = [];
    const failed = await (async () => {
      for await (const each of stream) finishes.push(each.choices[0]?.finish_reason);
    })().catch((cause: unknown) => cause);
    expect(failed).toBeInstanceOf(APIError);
    expect(finishes.every((finish) => finish === null || finish === undefined)).toBe(true);
  });

  test('an overloaded upstream before the first byte is a status that the client may retry', async () => {
    upstream.expect({
      status: 529,
      pieces: ['{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'],
    });
    await expect(
      client.chat.completions.create({
        model: 'ant/claude-x',
        messages: [{ role: 'user', content: 'x' }],
      }),
    ).rejects.toMatchObject({ status: 503 });
  });

  test('what the Messages API cannot say is refused by name, and nothing is sent', async () => {
    const before = upstream.received.length;
    await expect(
      client.chat.completions.create({
        model: 'ant/claude-x',
        messages: [{ role: 'user', content: 'x' }],
        n: 2,
      }),
    ).rejects.toMatchObject({ status: 400, code: 'unsupported_parameter', param: 'n' });
    expect(upstream.received.length).toBe(before);
  });
});

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
