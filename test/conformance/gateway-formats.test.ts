/** Every format that callers speak over every format that providers speak, whole and streamed, with usage in the log. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ScriptedUpstream, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import {
  call,
  cleanEnd,
  errorIn,
  firstOf,
  type InFormat,
  inFormats,
  routes,
  saidIn,
  streamed,
  whole,
} from './gateway-fixture.ts';

let upstream: ScriptedUpstream;
let gateway: TestGateway;
let key: string;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: {
      providers: {
        oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] },
        chat: { kind: 'openai', api: ['chat'], baseUrl: `${upstream.url}/v1`, models: ['up'] },
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['up'] },
      },
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  key = await gateway.key('formats');
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

type Out = 'oai' | 'chat' | 'ant';

/** The format that each provider is asked in: the caller's own where it has it. */
function spoken(format: InFormat, out: Out): keyof typeof whole {
  if (out === 'ant') return 'anthropic';
  return out === 'oai' && format === 'openai-completions' ? 'openai-completions' : 'openai-chat';
}

const paths = {
  'openai-chat': '/v1/chat/completions',
  'openai-completions': '/v1/completions',
  anthropic: '/v1/messages',
} as const;

const cases = inFormats.flatMap((format) =>
  (['oai', 'chat', 'ant'] as const).flatMap((out) =>
    [false, true].map((stream) => ({ format, out, stream })),
  ),
);

describe.each(cases)('$format over $out, streamed: $stream', ({ format, out, stream }) => {
  const model = `${out}/up`;
  const exchange = () =>
    call(gateway, { path: routes[format].path, key, body: routes[format].body(model, stream) });
  const settled = (answer: { headers: Record<string, unknown> }) =>
    gateway.logged((line) => line['request_id'] === answer.headers['x-request-id']);

  test('the words arrive whole in the format of the caller, and the usage in the log', async () => {
    upstream.expect((stream ? streamed : whole)[spoken(format, out)]);
    const answer = await exchange();
    expect(answer).toMatchObject({ status: 200, isWhole: true });
    expect(answer.headers['content-type']).toBe(stream ? 'text/event-stream' : 'application/json');
    expect(saidIn(format, stream, answer.text)).toBe('Hello');
    if (stream) expect(answer.text).toMatch(cleanEnd[format]);
    expect(upstream.received.at(-1)?.url).toBe(paths[spoken(format, out)]);
    const line = await settled(answer);
    expect(line).toMatchObject({
      outcome: 'complete',
      dialect: format,
      target: model,
      attempts: 1,
      status: 200,
      input_tokens: 11,
      output_tokens: 7,
    });
    expect(line).not.toHaveProperty('estimated');
    expect(line).not.toHaveProperty('error');
  });

  test('an upstream that breaks off is an error: a status before the first byte, an event after it', async () => {
    const script = (stream ? streamed : whole)[spoken(format, out)];
    const first = firstOf(script);
    upstream.expect({ ...script, pieces: [stream ? first : first.slice(0, 9), { cut: true }] });
    const answer = await exchange();
    if (!stream) expect(answer.status).toBe(502);
    expect(errorIn(format, answer.text)).toMatchObject({ message: expect.any(String) });
    expect(answer.text).not.toMatch(cleanEnd[format]);
    const line = await settled(answer);
    expect(line).toMatchObject(
      stream
        ? { outcome: 'failed', error: 'upstream_error', estimated: true, output_tokens: 1 }
        : { outcome: 'refused', error: 'upstream_error' },
    );
  });
});

test.each(inFormats)(
  '%s: a server that answers a stream whole gives the caller a stream',
  async (format) => {
    upstream.expect(whole[spoken(format, 'oai')]);
    const answer = await call(gateway, {
      path: routes[format].path,
      key,
      body: routes[format].body('oai/up', true),
    });
    expect(answer.headers['content-type']).toBe('text/event-stream');
    expect(saidIn(format, true, answer.text)).toBe('Hello');
    expect(answer.text).toMatch(cleanEnd[format]);
  },
);

describe('legacy completions', () => {
  const body = routes['openai-completions'].body('oai/up', false);
  const ask = (more: object = {}) =>
    call(gateway, { path: '/v1/completions', key, body: { ...body, ...more } });

  test.each([
    [404, '{"error":{"message":"Not Found","type":null,"param":null,"code":null}}'],
    [404, 'Not Found'],
    [405, '{"detail":"Method Not Allowed"}'],
    [400, '{"error":{"message":"this is a chat model","type":"invalid_request_error"}}'],
  ])(
    'go over chat where the server says with %i that it does not speak them',
    async (status, text) => {
      upstream.expect({ status, pieces: [text] }, whole['openai-chat']);
      const answer = await ask();
      expect(saidIn('openai-completions', false, answer.text)).toBe('Hello');
      expect(upstream.received.slice(-2).map(({ url }) => url)).toEqual([
        '/v1/completions',
        '/v1/chat/completions',
      ]);
      const line = await gateway.logged(
        (each) => each['request_id'] === answer.headers['x-request-id'],
      );
      expect(line).toMatchObject({ attempts: 2, target: 'oai/up' });
    },
  );

  test('stay with the refusal of the server where chat has no words for the request', async () => {
    const before = upstream.received.length;
    upstream.expect({ status: 400, pieces: ['{"error":{"message":"no suffix here"}}'] });
    const answer = await ask({ suffix: 'end' });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('no suffix here');
    expect(upstream.received.length).toBe(before + 1);
  });

  test('are not repeated over chat after a failure that says nothing of the format', async () => {
    const before = upstream.received.length;
    upstream.expect({ status: 503, pieces: ['{}'] });
    expect((await ask()).status).toBe(503);
    expect(upstream.received.length).toBe(before + 1);
  });
});

test('a caller of the older functions gets a function_call from any provider', async () => {
  upstream.expect({
    pieces: [
      JSON.stringify({
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'up',
        content: [{ type: 'tool_use', id: 't', name: 'f', input: { a: 1 } }],
        stop_reason: 'tool_use',
        stop_sequence: null,
        usage: { input_tokens: 1, output_tokens: 1 },
      }),
    ],
  });
  const answer = await call(gateway, {
    path: '/v1/chat/completions',
    key,
    body: {
      model: 'ant/up',
      messages: [{ role: 'user', content: 'hi' }],
      functions: [{ name: 'f', parameters: { type: 'object' } }],
    },
  });
  expect(JSON.parse(answer.text)).toMatchObject({
    choices: [
      {
        finish_reason: 'function_call',
        message: { function_call: { name: 'f', arguments: '{"a":1}' } },
      },
    ],
  });
});

test('a streamed /ask says at its end how long it took', async () => {
  let go = (): void => undefined;
  const wait = new Promise<void>((resolve) => {
    go = resolve;
  });
  const [first, rest] = streamed['openai-chat'].pieces;
  upstream.expect({
    ...streamed['openai-chat'],
    pieces: [first ?? '', { wait }, rest ?? ''],
  });
  setTimeout(() => go(), 60);
  const answer = await call(gateway, { path: '/ask', key, body: routes.ask.body('oai/up', true) });
  const last = answer.text.trimEnd().split('\n').at(-1) ?? '';
  const facts: unknown = JSON.parse(last.replace(/^data: /, ''));
  expect(facts).toMatchObject({ latency_ms: expect.any(Number) });
  // It is JSON with this member, as the line before says.
  expect((facts as { latency_ms: number }).latency_ms).toBeGreaterThanOrEqual(55);
});
