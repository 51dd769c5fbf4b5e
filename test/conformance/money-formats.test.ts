/**
 * What budgets pay is what upstreams say was used: every format that callers speak over every kind of provider, and a stream
 * costs what the same answer costs in one piece.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { present } from '@postern/core/base';
import type { Completion, DialectName } from '@postern/core/dialect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { staticKey } from '../fakes/bedrock.ts';
import { writtenAnswer } from '../fakes/dialect-answer.ts';
import { granting, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import { call } from './gateway-fixture.ts';

/** Odd rates, so that a class that is billed as another one shows: femto-USD a token. */
const rates = { input: 3_000_007_000, output: 15_000_011_000, cacheRead: 300_003_000 };
const usage = {
  input: 11,
  cacheRead: 5,
  cacheWrite: 0,
  cacheWriteHour: 0,
  output: 7,
  reasoning: 0,
};
const completion: Completion = {
  id: 'up-1',
  model: 'up',
  content: [{ kind: 'text', text: 'Hello' }],
  stop: 'end',
  usage,
};
const billed = (spoken: DialectName | 'embeddings'): number => {
  if (spoken === 'embeddings') return Math.ceil((11 * rates.input) / 1_000_000);
  const sum = 11 * rates.input + 5 * rates.cacheRead + 7 * rates.output;
  return Math.ceil(sum / 1_000_000);
};

const spokenAt: readonly (readonly [RegExp, DialectName])[] = [
  [/\/v1\/chat\/completions$/, 'openai-chat'],
  [/\/v1\/completions$/, 'openai-completions'],
  [/\/v1\/responses$/, 'openai-responses'],
  [/\/v1\/messages$/, 'anthropic-messages'],
  [/\/converse(-stream)?$/, 'bedrock-converse'],
  [/\/invoke(-with-response-stream)?$/, 'bedrock-invoke'],
];

interface AnyUpstream {
  readonly url: string;
  /** The formats that it was asked in, in order. */
  readonly asked: (DialectName | 'embeddings')[];
  close(): void;
}

/** A server that answers in whatever format it is asked, always for the same tokens. */
async function startAnyUpstream(): Promise<AnyUpstream> {
  const asked: AnyUpstream['asked'] = [];
  const server = http.createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const url = request.url ?? '';
      if (url.endsWith('/v1/embeddings')) {
        asked.push('embeddings');
        const data = [{ object: 'embedding', index: 0, embedding: [0.5] }];
        const counts = { prompt_tokens: 11, total_tokens: 11 };
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ object: 'list', data, model: 'up', usage: counts }));
        return;
      }
      const spoken = spokenAt.find(([form]) => form.test(url))?.[1];
      if (spoken === undefined) {
        response.writeHead(404).end();
        return;
      }
      asked.push(spoken);
      const isStream =
        url.endsWith('stream') || /"stream":\s*true/.test(Buffer.concat(pieces).toString());
      const answer = writtenAnswer(spoken, completion, isStream);
      response.writeHead(200, answer.headers);
      for (const piece of answer.pieces) response.write(piece);
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked, close: () => server.close() };
}

let upstream: AnyUpstream;
let gateway: TestGateway;
let key = '';
const saved = { ...process.env };

beforeAll(async () => {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: staticKey.id,
    AWS_SECRET_ACCESS_KEY: staticKey.secret,
  });
  upstream = await startAnyUpstream();
  const openai = { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] };
  gateway = await startGateway({
    config: {
      providers: {
        oai: openai,
        chat: { ...openai, api: ['chat'] },
        rsp: { ...openai, api: ['responses'] },
        vec: { ...openai, api: ['embeddings'] },
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['up'] },
        aws: {
          kind: 'bedrock',
          region: 'eu-test-1',
          endpoint: upstream.url,
          models: ['anthropic.up', 'amazon.up'],
        },
      },
      identities: keysAsTags(),
      prices: { '**': { input: '3.000007', output: '15.000011', cacheRead: '0.300003' } },
      budgets: { books: { usd: '100', every: 'never', match: ['*'] } },
    },
    policy: granting({ 'tag:key': { models: ['**'] } }),
  });
  key = await gateway.key('payer');
});
afterAll(async () => {
  process.env = saved;
  await gateway.stop();
  upstream.close();
});

async function spent(): Promise<{ requests: number; nano: number }> {
  const { body } = await gateway.control('GET', '/api/v1/usage?by=budget');
  const items = body['items'] as Record<string, string | number>[];
  const books = items.find((item) => item['key'] === 'books');
  return { requests: Number(books?.['requests'] ?? 0), nano: Number(books?.['nano_usd'] ?? 0) };
}

const text = [{ role: 'user', content: 'hi' }];
const parts = [{ role: 'user', content: [{ text: 'hi' }] }];
const invoked = { anthropic_version: 'bedrock-2023-05-31', max_tokens: 64, messages: text };

/** Each format that callers speak: where, and with what. */
const formats: Readonly<
  Record<string, (model: string, stream: boolean) => { path: string; body: object }>
> = {
  'openai-chat': (model, stream) => ({
    path: '/v1/chat/completions',
    body: { model, stream, messages: text },
  }),
  'openai-completions': (model, stream) => ({
    path: '/v1/completions',
    body: { model, stream, prompt: 'hi' },
  }),
  'openai-responses': (model, stream) => ({
    path: '/v1/responses',
    body: { model, stream, input: 'hi', store: false },
  }),
  'anthropic-messages': (model, stream) => ({
    path: '/v1/messages',
    body: { model, stream, max_tokens: 64, messages: text },
  }),
  ask: (model, stream) => ({ path: '/ask', body: { model, stream, prompt: 'hi' } }),
  'bedrock-converse': (model, stream) => ({
    path: `/bedrock/model/${encodeURIComponent(model)}/converse${stream ? '-stream' : ''}`,
    body: { messages: parts },
  }),
  'bedrock-invoke': (model, stream) => ({
    path: `/bedrock/model/${encodeURIComponent(model)}/invoke${stream ? '-with-response-stream' : ''}`,
    body: invoked,
  }),
};
const models = ['oai/up', 'chat/up', 'rsp/up', 'ant/up', 'aws/anthropic.up', 'aws/amazon.up'];

async function costs(format: string, model: string, stream: boolean): Promise<number> {
  const before = await spent();
  const asked = upstream.asked.length;
  const { path, body } = present(formats[format], 'a format')(model, stream);
  const answer = await call(gateway, { path, key, body });
  expect([answer.status, answer.text.slice(0, 300)]).toEqual([200, expect.any(String)]);
  // Chunks of invoke are base64 within a frame.
  if (format !== 'bedrock-invoke') expect(answer.text).toContain('Hel');
  const line = await gateway.logged(
    (each) => each['request_id'] === answer.headers['x-request-id'],
  );
  const after = await spent();
  expect(after.requests - before.requests).toBe(1);
  expect(upstream.asked).toHaveLength(asked + 1);
  const cost = after.nano - before.nano;
  expect(cost).toBe(billed(present(upstream.asked.at(-1), 'a request')));
  expect(line['cost_nano_usd']).toBe(cost);
  return cost;
}

describe.each(Object.keys(formats))('%s', (format) => {
  test.each(models)('over %s costs what the upstream says, whole and streamed', async (model) => {
    expect(await costs(format, model, true)).toBe(await costs(format, model, false));
  });
});

test('embeddings cost their input and nothing else', async () => {
  const before = await spent();
  const body = { model: 'vec/up', input: 'hi' };
  const answer = await call(gateway, { path: '/v1/embeddings', key, body });
  expect(answer.status).toBe(200);
  await gateway.logged((each) => each['request_id'] === answer.headers['x-request-id']);
  expect((await spent()).nano - before.nano).toBe(billed('embeddings'));
});
