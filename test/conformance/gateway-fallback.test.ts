/** More than one target, and connections that were closed in the meantime: what is tried again, and what never is. */
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  dataFrames,
  type Script,
  type ScriptedUpstream,
  sse,
  startScriptedUpstream,
} from '../fakes/scripted-upstream.ts';
import { upstream as rawUpstream } from './egress-fixture.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import {
  type Answer,
  call,
  chatChunk,
  errorIn,
  firstOf,
  type InFormat,
  inFormats,
  routes,
  saidIn,
  streamed,
  whole,
} from './gateway-fixture.ts';

let first: ScriptedUpstream;
let second: ScriptedUpstream;
let gateway: TestGateway;
let key: string;
/** Accepts connections and says nothing. */
const silent = createServer();

beforeAll(async () => {
  first = await startScriptedUpstream();
  second = await startScriptedUpstream();
  await listening(silent);
  // What is tried after what, and nothing else: breakers and repetitions have tests of their own.
  const once = { breaker: false, retry: { times: 0 } };
  const chat = { kind: 'openai', api: ['chat'], models: ['up'], ...once };
  gateway = await startGateway({
    env: { GONE: '' },
    config: {
      providers: {
        dead: { ...chat, baseUrl: `http://127.0.0.1:${await closedPort()}/v1` },
        keyless: { ...chat, baseUrl: `${first.url}/v1`, key: { env: 'GONE' } },
        both: {
          kind: 'openai',
          models: ['up'],
          ...once,
          baseUrl: `http://127.0.0.1:${await closedPort()}/v1`,
        },
        silent: {
          ...chat,
          baseUrl: `http://127.0.0.1:${portOf(silent)}/v1`,
          timeouts: { firstByteMs: 1_000 },
        },
        first: { ...chat, baseUrl: `${first.url}/v1` },
        second: { ...chat, baseUrl: `${second.url}/v1` },
        ant: { kind: 'anthropic', baseUrl: second.url, models: ['up'], ...once },
      },
      aliases: {
        'over-dead': ['dead/up', 'second/up'],
        'over-silent': ['silent/up', 'second/up'],
        'over-keyless': ['keyless/up', 'second/up'],
        'over-both': ['both/up', 'second/up'],
        'to-ant': ['first/up', 'ant/up'],
        instant: ['first/up', 'second/up'],
        'all-dead': ['dead/up', 'first/up'],
      },
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  key = await gateway.key('fallback');
});
afterAll(async () => {
  await gateway.stop();
  await first.close();
  await second.close();
  silent.close();
});

function listening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A port where nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await listening(server);
  const port = portOf(server);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

function ask(model: string, format: InFormat = 'openai-chat', stream = false): Promise<Answer> {
  return call(gateway, {
    path: routes[format].path,
    key,
    body: routes[format].body(model, stream),
  });
}

function lineOf(answer: Answer): Promise<Record<string, unknown>> {
  return gateway.logged((line) => line['request_id'] === answer.headers['x-request-id']);
}

const counts = () => [first.received.length, second.received.length];

describe.each(inFormats)('%s: the second target answers', (format) => {
  test.each([
    ['over-dead', 'refuses the connection'],
    ['over-keyless', 'has no credential'],
    ['over-both', 'refuses the connection, and would speak two formats'],
  ])('when the first of %s %s', async (alias) => {
    second.expect(whole['openai-chat']);
    const answer = await ask(alias, format);
    expect(saidIn(format, false, answer.text)).toBe('Hello');
    expect(await lineOf(answer)).toMatchObject({
      outcome: 'complete',
      model: alias,
      target: 'second/up',
      attempts: 2,
    });
  });

  const failures: readonly (readonly [string, Script])[] = [
    ['fails with 500', { status: 500, pieces: ['oops'] }],
    ['fails with 502', { status: 502, pieces: ['<html>'] }],
    ['is overloaded with 529', { status: 529, pieces: ['{"type":"error"}'] }],
    ['is overloaded with 503', { status: 503, pieces: ['{}'] }],
    ['limits its callers', { status: 429, headers: { 'retry-after': '30' }, pieces: ['{}'] }],
    ['refuses our credential', { status: 401, pieces: ['{}'] }],
    ['no longer has the model', { status: 404, pieces: ['{"error":{"message":"no such model"}}'] }],
    ['redirects', { status: 302, headers: { location: 'http://127.0.0.1:1/' }, pieces: [''] }],
    ['answers half a head', { pieces: [{ cut: true }] }],
  ];
  test.each(failures)('when the first %s', async (_, script) => {
    first.expect(script);
    second.expect((format === 'ask' ? streamed : whole)['openai-chat']);
    const answer = await ask('instant', format, format === 'ask');
    expect(saidIn(format, format === 'ask', answer.text)).toBe('Hello');
    expect(await lineOf(answer)).toMatchObject({ target: 'second/up', attempts: 2 });
  });
});

test('the second target answers when the first says nothing in time', async () => {
  second.expect(whole['openai-chat']);
  const answer = await ask('over-silent');
  expect(saidIn('openai-chat', false, answer.text)).toBe('Hello');
  expect(await lineOf(answer)).toMatchObject({ target: 'second/up', attempts: 2 });
});

test('the second target may speak another format', async () => {
  first.expect({ status: 500, pieces: ['oops'] });
  second.expect(whole.anthropic);
  const answer = await ask('to-ant');
  expect(saidIn('openai-chat', false, answer.text)).toBe('Hello');
  expect(second.received.at(-1)?.url).toBe('/v1/messages');
  expect(await lineOf(answer)).toMatchObject({ target: 'ant/up', attempts: 2 });
});

test('when every target fails the caller gets what the last one said', async () => {
  first.expect({ status: 429, headers: { 'retry-after': '30' }, pieces: ['{}'] });
  const startedAt = performance.now();
  const answer = await ask('all-dead');
  expect(answer.status).toBe(429);
  expect(answer.headers['retry-after']).toBe('30');
  expect(errorIn('openai-chat', answer.text)).toMatchObject({ code: 'upstream_rate_limited' });
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  expect(await lineOf(answer)).toMatchObject({ attempts: 2, target: 'first/up' });
});

test.each([400, 413, 422])(
  'a request that the server refuses with %i is not sent anywhere else',
  async (status) => {
    const [, before] = counts();
    first.expect({ status, pieces: ['{"error":{"message":"temperature is too high"}}'] });
    const answer = await ask('instant');
    expect(answer.status).toBe(status);
    expect(answer.text).toContain('temperature is too high');
    expect(counts()[1]).toBe(before);
  },
);

test('a stream that has begun is not begun again', async () => {
  const [, before] = counts();
  first.expect({
    headers: sse,
    pieces: [dataFrames(chatChunk({ content: 'Hel' })), { cut: true }],
  });
  const answer = await ask('instant', 'openai-chat', true);
  expect(answer.status).toBe(200);
  expect(errorIn('openai-chat', answer.text)).toMatchObject({ code: 'upstream_error' });
  expect(counts()[1]).toBe(before);
  expect(await lineOf(answer)).toMatchObject({ outcome: 'failed', attempts: 1 });
});

describe('a kept connection', () => {
  const ok = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
  const answerText = firstOf(whole['openai-chat']);
  const response = `${ok}content-length: ${answerText.length}\r\n\r\n${answerText}`;

  async function through(port: number, run: (send: () => Promise<Answer>) => Promise<void>) {
    const one = await startGateway({
      config: {
        providers: {
          raw: { kind: 'openai', baseUrl: `http://127.0.0.1:${port}/v1`, models: ['up'] },
        },
        identities: keysAsTags(),
      },
      policy: everyKey,
    });
    try {
      const own = await one.key('raw');
      const body = routes['openai-chat'].body('raw/up', false);
      await run(() => call(one, { path: '/v1/chat/completions', key: own, body }));
    } finally {
      await one.stop();
    }
  }

  test('that closes as the request goes out costs the caller nothing: once more, on a new one', async () => {
    const raw = await rawUpstream((socket, _, index) => {
      if (index === 2) socket.destroy();
      else socket.write(response);
    });
    await through(raw.port, async (send) => {
      expect((await send()).status).toBe(200);
      expect((await send()).status).toBe(200);
    });
    expect(raw.connections).toBe(2);
  });
});
