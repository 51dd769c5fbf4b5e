import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@postern/core/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { granting, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import { call } from './gateway-fixture.ts';

/** What a model wrote is never free: where its server does not say how much it was, or says nothing of it, we count. */

const words = 'word '.repeat(600);
const tokens = words.length / 3;
let next: (answer: http.ServerResponse) => void = () => undefined;
const upstream = http.createServer((request, answer) => {
  request.resume().on('end', () => next(answer));
});
let gateway: TestGateway;
let key: string;

beforeAll(async () => {
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const openAi = { kind: 'openai', baseUrl: `${url}/v1`, models: ['m'] } as const;
  gateway = await startGateway({
    config: {
      providers: {
        chat: { ...openAi, api: ['chat'] },
        responses: { ...openAi, api: ['responses'] },
        messages: { kind: 'anthropic', baseUrl: url, models: ['m'] },
      },
      identities: keysAsTags(),
      prices: { '**': { input: '2.5', output: '10' } },
      budgets: { books: { usd: '1000', every: 'never', match: ['*'] } },
    },
    policy: granting({ 'tag:key': { models: ['**'] } }),
  });
  key = await gateway.key('payer');
});
afterAll(async () => {
  await gateway.stop();
  upstream.close();
});

const asked = { include_usage: true };
const message = { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [] };
const chunk = (delta: JsonObject, finish: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const event = (type: string, members: JsonObject): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
const answerStream = (frames: readonly string[]) => (answer: http.ServerResponse) => {
  answer.writeHead(200, { 'content-type': 'text/event-stream' });
  answer.end(frames.join(''));
};

async function charged(path: string, body: JsonObject) {
  const answered = await call(gateway, { path, key, body });
  const line = await gateway.logged(
    (each) => each['request_id'] === answered.headers['x-request-id'],
  );
  return { answered, line };
}

const chatBody = {
  model: 'chat/m',
  stream: true,
  max_tokens: 5_000,
  messages: [{ role: 'user', content: 'hi' }],
};

test('a whole answer that broke off is charged for its prompt, and stands as estimated', async () => {
  next = (answer) => {
    answer.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
    answer.write('{"id":', () => answer.destroy());
  };
  const { answered, line } = await charged('/v1/chat/completions', { ...chatBody, stream: false });
  expect(answered.status).toBe(502);
  expect(line).toMatchObject({ estimated: true, cost_nano_usd: expect.any(Number) });
  expect(line['cost_nano_usd']).toBeGreaterThan(0);
});

describe('an answer that came whole', () => {
  test('a stream whose server reports nothing for it is counted', async () => {
    const none = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    next = answerStream([
      chunk({ role: 'assistant', content: words }),
      chunk({}, 'stop'),
      `data: ${JSON.stringify({ id: 'c', choices: [], usage: none })}\n\n`,
      'data: [DONE]\n\n',
    ]);
    const { line } = await charged('/v1/chat/completions', chatBody);
    expect(line).toMatchObject({ outcome: 'complete', output_tokens: tokens });
  });

  test('a body whose server reports no output of it is counted', async () => {
    next = (answer) => {
      answer.setHeader('content-type', 'application/json');
      const message = { role: 'assistant', content: words };
      const choices = [{ index: 0, message, finish_reason: 'stop' }];
      const usage = { prompt_tokens: 7, completion_tokens: 0 };
      answer.end(
        JSON.stringify({
          id: 'c',
          object: 'chat.completion',
          created: 1,
          model: 'm',
          choices,
          usage,
        }),
      );
    };
    const { line } = await charged('/v1/chat/completions', { ...chatBody, stream: false });
    expect(line).toMatchObject({ outcome: 'complete', input_tokens: 7, output_tokens: tokens });
  });

  test.each([
    ['passes through', '/v1/messages', {}],
    ['becomes a stream of chat', '/v1/chat/completions', {}],
    ['becomes one that asks for usage', '/v1/chat/completions', { stream_options: asked }],
  ])(
    'a Messages stream that says what it used only before it began is counted: it %s',
    async (_name, path, more) => {
      const usage = { input_tokens: 10, output_tokens: 1 };
      next = answerStream([
        event('message_start', { message: { ...message, usage } }),
        event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
        event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: words } }),
        event('content_block_stop', { index: 0 }),
        event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null } }),
        event('message_stop', {}),
      ]);
      const { line } = await charged(path, { ...chatBody, ...more, model: 'messages/m' });
      expect(line).toMatchObject({ outcome: 'complete', input_tokens: 10, output_tokens: tokens });
    },
  );

  test('a stream of chat that counts its prompt alone is counted for a caller of Messages', async () => {
    next = answerStream([
      chunk({ role: 'assistant', content: words }),
      chunk({}, 'stop'),
      `data: ${JSON.stringify({ id: 'c', choices: [], usage: { prompt_tokens: 10 } })}\n\n`,
      'data: [DONE]\n\n',
    ]);
    const { line } = await charged('/v1/messages', chatBody);
    expect(line).toMatchObject({ outcome: 'complete', input_tokens: 10, output_tokens: tokens });
  });
});

test('a response that failed costs what it says it used', async () => {
  const usage = { input_tokens: 1_000, output_tokens: 2_000, total_tokens: 3_000 };
  const response = { id: 'r', object: 'response', output: [] };
  next = answerStream([
    event('response.created', {
      sequence_number: 0,
      response: { ...response, status: 'in_progress' },
    }),
    event('response.failed', {
      sequence_number: 1,
      response: {
        ...response,
        status: 'failed',
        error: { code: 'server_error', message: 'x' },
        usage,
      },
    }),
  ]);
  const { line } = await charged('/v1/responses', {
    model: 'responses/m',
    stream: true,
    input: 'hi',
  });
  expect(line).toMatchObject({ input_tokens: 1_000, output_tokens: 2_000 });
});

test('what would be written after the answer is not asked for', async () => {
  const { answered } = await charged('/v1/responses', {
    model: 'responses/m',
    input: 'hi',
    background: true,
  });
  expect(answered.status).toBe(400);
  expect(JSON.parse(answered.text)).toMatchObject({
    error: { code: 'unsupported_parameter', param: 'background' },
  });
});

describe('a caller who leaves pays for what was delivered', () => {
  test.each<[string, JsonObject, number]>([
    ['text', { content: words }, tokens],
    ['text of many alphabets', { content: '漢字'.repeat(500) }, 1_000],
    ['content in parts', { content: [{ type: 'text', text: words }] }, tokens],
    [
      'thinking in parts',
      { content: [{ type: 'thinking', thinking: [{ type: 'text', text: words }] }] },
      tokens,
    ],
    [
      'details of reasoning',
      { content: '', reasoning_details: [{ type: 'reasoning.text', text: words }] },
      tokens,
    ],
    [
      'the words of speech',
      { audio: { id: 'a', transcript: words, data: 'A'.repeat(6_000) } },
      tokens,
    ],
    [
      'input of tools of its own',
      { tool_calls: [{ index: 0, id: 'x', type: 'custom', custom: { input: words } }] },
      tokens,
    ],
  ])('%s', async (_name, delta, expected) => {
    const line = await left('/v1/chat/completions', chatBody, [
      chunk({ role: 'assistant', ...delta }),
    ]);
    expect(line).toMatchObject({ outcome: 'aborted', output_tokens: expected });
  });
});

/** What is charged to a caller who goes once the upstream's frames came. */
async function left(path: string, body: JsonObject, frames: readonly string[]) {
  const seen = gateway.log.length;
  next = (answer) => {
    answer.writeHead(200, { 'content-type': 'text/event-stream' });
    answer.write(frames.join(''));
  };
  const leaving = new AbortController();
  const answer = await fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: leaving.signal,
  });
  await answer.body?.getReader().read();
  leaving.abort();
  return gateway.logged((each) => gateway.log.indexOf(each) >= seen && each['msg'] === 'request');
}

describe('a caller who leaves pays for the searches that were run', () => {
  const cent = 10_000_000;
  const began = { id: 'r', object: 'response', status: 'in_progress', output: [], usage: null };
  const item = (kind: 'added' | 'done', at: number, more: JsonObject): string =>
    event(`response.output_item.${kind}`, { output_index: at, item: { id: `i${at}`, ...more } });
  const search = { type: 'web_search_call' };
  const framesOfResponses = [
    event('response.created', { response: began }),
    item('added', 0, search),
    item('done', 0, { ...search, action: { type: 'search', query: 'x' } }),
    item('added', 1, search),
    item('done', 1, { ...search, action: { type: 'open_page', url: 'u' } }),
    item('added', 2, { type: 'file_search_call' }),
    item('done', 2, { type: 'file_search_call' }),
    item('added', 3, search),
    event('response.output_text.delta', { output_index: 4, delta: 'Hi' }),
  ];

  test.each([
    ['Responses', '/v1/responses', { model: 'responses/m', stream: true, input: 'hi' }],
    ['Responses asked in chat', '/v1/chat/completions', { ...chatBody, model: 'responses/m' }],
  ])('%s: done and under way', async (_name, path, body) => {
    const line = await left(path, body, framesOfResponses);
    const tokensCost = Number(line['input_tokens']) * 2_500 + 10_000;
    expect(line).toMatchObject({ outcome: 'aborted', output_tokens: 1 });
    expect(line['cost_nano_usd']).toBe(tokensCost + 3 * cent);
  });

  const block = (index: number, content_block: JsonObject): string =>
    event('content_block_start', { index, content_block }) + event('content_block_stop', { index });
  const call = { type: 'server_tool_use', id: 's', name: 'web_search', input: {} };
  const result = { type: 'web_search_tool_result', tool_use_id: 's' };
  const failed = { type: 'web_search_tool_result_error', error_code: 'unavailable' };
  const framesOfMessages = [
    event('message_start', {
      message: {
        ...message,
        usage: {
          input_tokens: 10,
          output_tokens: 1,
          server_tool_use: { web_search_requests: 0 },
        },
      },
    }),
    block(0, call),
    block(1, { ...result, content: [] }),
    block(2, { ...call, name: 'web_fetch' }),
    block(3, call),
    block(4, { ...result, content: failed }),
    block(5, call),
  ];
  const messagesBody = {
    ...chatBody,
    model: 'messages/m',
    tools: [{ type: 'web_search_20250305', name: 'web_search' }],
  };

  test('Messages: all but those that failed', async () => {
    const line = await left('/v1/messages', messagesBody, framesOfMessages);
    // The names of the tools are words too.
    expect(line).toMatchObject({ outcome: 'aborted', input_tokens: 10, output_tokens: 13 });
    expect(line['cost_nano_usd']).toBe(25_000 + 130_000 + 2 * cent);
  });

  test.each([
    ['what the provider counts', { server_tool_use: { web_search_requests: 1 } }, 1],
    ['what was seen where it counts none', {}, 2],
  ])('of a whole answer of Messages, %s', async (_name, more, searches) => {
    next = answerStream([
      ...framesOfMessages,
      event('message_delta', {
        delta: { stop_reason: 'end_turn', stop_sequence: null },
        usage: { output_tokens: 5, ...more },
      }),
      event('message_stop', {}),
    ]);
    const { line } = await charged('/v1/messages', messagesBody);
    expect(line).toMatchObject({ outcome: 'complete', output_tokens: 5 });
    expect(line['cost_nano_usd']).toBe(25_000 + 50_000 + searches * cent);
  });

  test('of a whole answer of Responses, once', async () => {
    const usage = { input_tokens: 10, output_tokens: 1, total_tokens: 11 };
    next = answerStream([
      ...framesOfResponses,
      event('response.completed', { response: { ...began, status: 'completed', usage } }),
    ]);
    const body = { model: 'responses/m', stream: true, input: 'hi' };
    const { line } = await charged('/v1/responses', body);
    expect(line).toMatchObject({ outcome: 'complete', input_tokens: 10 });
    expect(line['cost_nano_usd']).toBe(25_000 + 10_000 + 2 * cent);
  });
});
