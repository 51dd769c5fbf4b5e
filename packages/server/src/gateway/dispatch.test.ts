import { type Refusal, refusal } from '@postern/core/errors';
import { describe, expect, test } from 'vitest';
import { createFakeGateway, settled } from '../../../../test/fakes/gateway.ts';
import { createFakeProvider, FakeAnswer } from '../../../../test/fakes/provider.ts';

const hello = () =>
  new FakeAnswer()
    .write(
      '{"id":"c","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}',
    )
    .end();
const failed = (status: number, text = '{}') =>
  new FakeAnswer('application/json', status).write(text).end();

async function setUp() {
  const a = createFakeProvider({ id: 'a' });
  const b = createFakeProvider({ id: 'b', dialects: ['anthropic-messages'] });
  const c = createFakeProvider({ id: 'c', dialects: ['openai-chat', 'openai-completions'] });
  const gateway = await createFakeGateway({
    providers: [a, b, c],
    aliases: {
      instant: [
        { provider: 'a', model: 'up' },
        { provider: 'removed', model: 'up' },
        { provider: 'c', model: 'up' },
      ],
      lost: [{ provider: 'removed', model: 'up' }],
      mixed: [
        { provider: 'b', model: 'up' },
        { provider: 'a', model: 'up' },
      ],
    },
  });
  const ask = (model: string, more: object = {}) =>
    gateway.ask({ body: { model, messages: [{ role: 'user', content: 'hi' }], ...more } });
  const complete = (more: object = {}) =>
    gateway.ask({ path: '/v1/completions', body: { model: 'c/up', prompt: 'hi', ...more } });
  return { a, b, c, gateway, ask, complete };
}

describe('targets', () => {
  test('are asked in order, and those without a provider are passed over', async () => {
    const { a, c, gateway, ask } = await setUp();
    a.expect(refusal('upstream_unavailable', 'refused'));
    c.expect(hello());
    const { reply } = await ask('instant');
    expect(reply.status).toBe(200);
    expect([a.calls.length, c.calls.length]).toEqual([1, 1]);
    expect(gateway.settlements).toMatchObject([{ attempts: 2, target: 'c/up' }]);
  });

  test('that are all gone from the configuration are unavailable, not unknown', async () => {
    const { ask } = await setUp();
    expect((await ask('lost')).reply.status).toBe(502);
  });

  test.each<[string, Refusal]>([
    ['unavailable', refusal('upstream_unavailable', 'x')],
    ['late', refusal('upstream_timeout', 'x')],
    ['broken', refusal('upstream_error', 'x')],
    ['at its limit', refusal('upstream_overloaded', 'x')],
    ['without a good credential', refusal('upstream_credential', 'x')],
    ['not to be reached by rule', refusal('egress_refused', 'x')],
    ['at the limit of our own connections', refusal('overloaded', 'x')],
  ])('that are %s leave the request to the next', async (_, why) => {
    const { a, c, ask } = await setUp();
    a.expect(why);
    c.expect(hello());
    expect((await ask('instant')).reply.status).toBe(200);
  });

  test('that refuse the request itself end it', async () => {
    const { a, c, ask } = await setUp();
    a.expect(failed(400, '{"error":{"message":"no"}}'));
    expect((await ask('instant')).reply.status).toBe(400);
    expect(c.calls).toEqual([]);
  });

  test('that cannot say what is asked are passed over without a call', async () => {
    const { a, b, ask } = await setUp();
    a.expect(hello());
    expect((await ask('mixed', { n: 2 })).reply.status).toBe(200);
    expect(b.calls).toEqual([]);
    const { reply } = await ask('b/up', { n: 2 });
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('unsupported_parameter');
  });

  test('are not asked once the caller has left', async () => {
    const { a, c, gateway } = await setUp();
    const opened = gateway.open({
      body: { model: 'instant', messages: [{ role: 'user', content: 'hi' }] },
    });
    await settled();
    expect(a.calls).toHaveLength(1);
    opened.leave();
    await opened.done;
    expect(c.calls).toEqual([]);
    expect(gateway.settlements).toMatchObject([{ outcome: 'aborted', attempts: 1, status: 499 }]);
  });

  test('do not change once the first byte of a stream went out', async () => {
    const { a, c, ask } = await setUp();
    const answer = new FakeAnswer('text/event-stream')
      .write('data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n')
      .end(refusal('upstream_error', 'broke off'));
    a.expect(answer);
    const { reply } = await ask('instant', { stream: true });
    expect(reply.status).toBe(200);
    expect(reply.text).toContain('"error"');
    expect(c.calls).toEqual([]);
  });
});

describe('what is sent', () => {
  test('is the body of the caller, with the name that the provider knows and the cap', async () => {
    const { a, ask } = await setUp();
    a.expect(hello());
    await ask('a/up', { x_own: { b: 1, a: 2 } });
    expect(a.calls[0]?.path).toBe('/chat/completions');
    expect(a.calls[0]?.body).toBe(
      '{"model":"up","messages":[{"role":"user","content":"hi"}],"x_own":{"b":1,"a":2},"max_tokens":4096}',
    );
  });

  test('has the headers of a format only where the provider speaks it', async () => {
    const { a, b, gateway } = await setUp();
    const headers = {
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'x',
      authorization: 'Bearer secret',
      cookie: 'c',
    };
    const body = { max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] };
    a.expect(failed(500));
    b.expect(failed(500));
    // oxlint-disable-next-line no-await-in-loop -- one call after the other
    for (const model of ['a/up', 'b/up'])
      await gateway.ask({ path: '/v1/messages', headers, body: { model, ...body } });
    expect(a.calls[0]?.headers).toEqual({});
    expect(b.calls[0]?.headers).toEqual({
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'x',
    });
  });
});

describe('legacy completions', () => {
  test.each([404, 405, 501, 400])('go over chat where the native route says %i', async (status) => {
    const { c, complete } = await setUp();
    c.expect(failed(status), hello());
    const { reply } = await complete();
    expect(JSON.parse(reply.text)).toMatchObject({ choices: [{ text: 'Hello' }] });
    expect(c.calls.map(({ dialect }) => dialect.name)).toEqual([
      'openai-completions',
      'openai-chat',
    ]);
  });

  test.each([401, 429, 500, 503])('stay native where it says %i', async (status) => {
    const { c, complete } = await setUp();
    c.expect(failed(status));
    expect((await complete()).reply.status).toBeGreaterThanOrEqual(429);
    expect(c.calls).toHaveLength(1);
  });
});

test('a redirect is no answer, and its body is not read', async () => {
  const { a, ask } = await setUp();
  const redirect = new FakeAnswer('text/html', 302);
  a.expect(redirect);
  expect((await ask('a/up')).reply.status).toBe(502);
  expect(redirect.isCancelled).toBe(true);
});

test('an error body that is not JSON, or has no end, is read up to a bound', async () => {
  const { a, ask } = await setUp();
  a.expect(failed(500, '<html>'.repeat(50_000)));
  const { reply } = await ask('a/up');
  expect(reply.status).toBe(502);
  expect(reply.text).not.toContain('html');
});
