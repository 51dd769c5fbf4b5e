/**
 * What providers bill beside text is charged at its own price: searches that they run, and sound. A stream costs what the same
 * answer costs in one piece.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli } from '../e2e/process.ts';
import { granting, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import { call } from './gateway-fixture.ts';

const json = 'application/json';
const sse = 'text/event-stream';
let answer = { type: json, body: '{}' };
const server = http.createServer((request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, { 'content-type': answer.type });
    response.end(answer.body);
  });
});
let gateway: TestGateway;
let key = '';

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const openai = { kind: 'openai', baseUrl: `${url}/v1`, models: ['up'] };
  gateway = await startGateway({
    config: {
      providers: {
        oai: { ...openai, api: ['chat'] },
        rsp: { ...openai, api: ['responses'] },
        tools: { ...openai, api: ['responses'] },
        ant: { kind: 'anthropic', baseUrl: url, models: ['up', 'unpriced'] },
      },
      identities: keysAsTags(),
      prices: {
        'oai/**': {
          input: '2.5',
          output: '10',
          inputAudio: '32',
          outputAudio: '64',
          webSearches: '20',
        },
        'ant/unpriced': { input: '3', output: '15' },
        'tools/up': { input: '3', output: '15', imageCalls: '25', codeSessions: '3' },
        '**': { input: '3', output: '15', webSearches: '10', storageSearches: '2.5' },
      },
      budgets: { books: { usd: '1', every: 'never', match: ['*'] } },
    },
    policy: granting({ 'tag:key': { models: ['**'] } }),
  });
  key = await gateway.key('payer');
});
afterAll(async () => {
  await gateway.stop();
  server.close();
});

async function charged(path: string, body: object, upstream: typeof answer): Promise<unknown> {
  answer = upstream;
  const got = await call(gateway, { path, key, body });
  expect([got.status, got.text.slice(0, 300)]).toEqual([200, expect.any(String)]);
  const id = got.headers['x-request-id'];
  const line = await gateway.logged((each) => each['request_id'] === id);
  return line['cost_nano_usd'];
}
const whole = (value: object) => ({ type: json, body: JSON.stringify(value) });
const events = (
  ...each: readonly { readonly type: string; readonly [name: string]: unknown }[]
) => ({
  type: sse,
  body: each.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''),
});
const turn = [{ role: 'user', content: 'hi' }];

const searched = {
  input_tokens: 10,
  output_tokens: 10,
  server_tool_use: { web_search_requests: 5 },
};
const message = { id: 'm', type: 'message', role: 'assistant', model: 'up', content: [] };
const messagesRequest = (more: object) => ({
  model: 'ant/up',
  max_tokens: 64,
  tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 5 }],
  messages: turn,
  ...more,
});
const messagesWhole = whole({
  ...message,
  content: [{ type: 'text', text: 'Hello' }],
  stop_reason: 'end_turn',
  usage: searched,
});
const messagesStream = events(
  {
    type: 'message_start',
    message: { ...message, stop_reason: null, usage: { input_tokens: 10, output_tokens: 1 } },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: searched },
  { type: 'message_stop' },
);

test('searches of Messages, whole and streamed', async () => {
  const cost = 10 * 3_000 + 10 * 15_000 + 5 * 10_000_000;
  expect(await charged('/v1/messages', messagesRequest({}), messagesWhole)).toBe(cost);
  const streamed = messagesRequest({ stream: true });
  expect(await charged('/v1/messages', streamed, messagesStream)).toBe(cost);
});

test('searches that no price names are not free', async () => {
  const request = messagesRequest({ model: 'ant/unpriced' });
  expect(await charged('/v1/messages', request, messagesWhole)).toBe(180_000 + 5 * 10_000_000);
});

test('searches that a request may run are set aside before it is sent', async () => {
  const tools = [{ type: 'web_search_20250305', name: 'web_search', max_uses: 100 }];
  const got = await call(gateway, { path: '/v1/messages', key, body: messagesRequest({ tools }) });
  expect([got.status, got.text]).toEqual([429, expect.stringContaining('may cost 1.0033 USD')]);
});

const items = [
  {
    type: 'web_search_call',
    id: 'w1',
    status: 'completed',
    action: { type: 'search', query: 'x' },
  },
  {
    type: 'web_search_call',
    id: 'w2',
    status: 'completed',
    action: { type: 'open_page', url: 'u' },
  },
  { type: 'file_search_call', id: 'f1', status: 'completed', queries: ['x'] },
  {
    type: 'message',
    id: 'm',
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text: 'Hi', annotations: [] }],
  },
];
const response = {
  id: 'resp_1',
  object: 'response',
  created_at: 1,
  status: 'completed',
  model: 'up',
  output: items,
  usage: { input_tokens: 10, output_tokens: 1, total_tokens: 11 },
};
const began = { ...response, status: 'in_progress', output: [], usage: null };
const done = items.map((item, at) => ({
  type: 'response.output_item.done',
  output_index: at,
  item,
}));

test.each([
  ['whole', false, whole(response)],
  [
    'streamed',
    true,
    events({ type: 'response.created', response: began }, ...done, {
      type: 'response.completed',
      response,
    }),
  ],
  [
    'streamed by a server whose last event has no output',
    true,
    events({ type: 'response.created', response: began }, ...done, {
      type: 'response.completed',
      response: { ...response, output: [] },
    }),
  ],
])('searches among the items of Responses, %s', async (_name, stream, upstream) => {
  const request = {
    model: 'rsp/up',
    input: 'hi',
    stream,
    tools: [{ type: 'web_search' }],
    max_output_tokens: 100,
  };
  const cost = 10 * 3_000 + 15_000 + 10_000_000 + 2_500_000;
  expect(await charged('/v1/responses', request, upstream)).toBe(cost);
});

test('pictures and sandboxes among the items of Responses, whole and streamed', async () => {
  const made = [
    { type: 'image_generation_call', id: 'i1', status: 'completed', result: 'AAAA' },
    { type: 'code_interpreter_call', id: 'c1', status: 'completed', container_id: 'k1', code: '1' },
    { type: 'code_interpreter_call', id: 'c2', status: 'completed', container_id: 'k1', code: '2' },
    ...items.slice(-1),
  ];
  const request = {
    model: 'tools/up',
    input: 'hi',
    tools: [
      { type: 'image_generation' },
      { type: 'code_interpreter', container: { type: 'auto', memory_limit: '4g' } },
    ],
    max_output_tokens: 100,
  };
  const answered = { ...response, output: made };
  const streamed = events(
    { type: 'response.created', response: began },
    ...made.map((item, at) => ({ type: 'response.output_item.done', output_index: at, item })),
    { type: 'response.completed', response: answered },
  );
  const cost = 45_000 + 25_000_000 + 4 * 3_000_000;
  expect(await charged('/v1/responses', request, whole(answered))).toBe(cost);
  expect(await charged('/v1/responses', { ...request, stream: true }, streamed)).toBe(cost);
});

test('searches of Responses that the caller asked for in chat', async () => {
  const request = { model: 'rsp/up', max_tokens: 100, messages: turn };
  const cost = 10 * 3_000 + 15_000 + 10_000_000 + 2_500_000;
  const only = items.slice(-1);
  const plain = whole({ ...response, output: only });
  expect(await charged('/v1/chat/completions', request, plain)).toBe(45_000);
  const streamed = events({ type: 'response.created', response: began }, ...done, {
    type: 'response.completed',
    response,
  });
  expect(await charged('/v1/chat/completions', { ...request, stream: true }, streamed)).toBe(cost);
  expect(await charged('/v1/chat/completions', request, whole(response))).toBe(cost);
});

const chat = { id: 'c', object: 'chat.completion', created: 1, model: 'up' };
const audioUsage = {
  prompt_tokens: 1_000,
  completion_tokens: 1_000,
  total_tokens: 2_000,
  prompt_tokens_details: { audio_tokens: 900 },
  completion_tokens_details: { audio_tokens: 900 },
};
const spoken = { index: 0, finish_reason: 'stop' };
const chunk = (more: object): string =>
  `data: ${JSON.stringify({ ...chat, object: 'chat.completion.chunk', choices: [], ...more })}\n\n`;

test('sound of chat, whole and streamed', async () => {
  const request = {
    model: 'oai/up',
    max_tokens: 2_000,
    modalities: ['text', 'audio'],
    audio: { voice: 'alloy', format: 'wav' },
    messages: turn,
  };
  const audio = { id: 'a', data: 'AAAA', transcript: 'Hello', expires_at: 1 };
  const cost = 100 * 2_500 + 900 * 32_000 + 100 * 10_000 + 900 * 64_000;
  const choices = [{ ...spoken, message: { role: 'assistant', content: null, audio } }];
  const answered = whole({ ...chat, choices, usage: audioUsage });
  expect(await charged('/v1/chat/completions', request, answered)).toBe(cost);
  const streamed = {
    type: sse,
    body: `${chunk({ choices: [{ ...spoken, delta: { audio } }] })}${chunk({ usage: audioUsage })}data: [DONE]\n\n`,
  };
  expect(await charged('/v1/chat/completions', { ...request, stream: true }, streamed)).toBe(cost);
});

test('an answer of chat that searches is one search', async () => {
  const request = { model: 'oai/up', max_tokens: 64, web_search_options: {}, messages: turn };
  const choices = [{ ...spoken, message: { role: 'assistant', content: 'Hello' } }];
  const usage = { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 };
  expect(await charged('/v1/chat/completions', request, whole({ ...chat, choices, usage }))).toBe(
    125_000 + 20_000_000,
  );
});

test('the history of use tells them apart', async () => {
  const own = async (): Promise<unknown> => {
    const got = await call(gateway, { method: 'GET', path: '/v1/usage', key });
    const { use } = JSON.parse(got.text) as { use: { models: { key: string }[] } };
    return Object.fromEntries(use.models.map((each) => [each.key, each]));
  };
  await expect.poll(own, { timeout: 5_000 }).toMatchObject({
    'ant/up': { requests: 2, web_searches: 10, storage_searches: 0, input_audio_tokens: 0 },
    'rsp/up': { requests: 6, web_searches: 5, storage_searches: 5 },
    'oai/up': {
      requests: 3,
      web_searches: 1,
      input_audio_tokens: 1_800,
      output_audio_tokens: 1_800,
    },
  });
  const listed = await gateway.control('GET', '/api/v1/usage?by=user');
  expect(listed.body).toMatchObject({
    items: [{ web_searches: 21, storage_searches: 5, output_audio_tokens: 1_800 }],
  });
  const { out } = await cli(['usage', '--by', 'model'], { stateDir: gateway.stateDir });
  expect(out).toMatch(/^model +requests +input +output +of it sound +searches +usd$/im);
  expect(out).toMatch(/^oai\/up +3 +2010 +2010 +3600 +1 /m);
  expect(out).toMatch(/^rsp\/up +6 +60 +6 +0 +10 /m);
});
