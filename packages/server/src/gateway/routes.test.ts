import { describe, expect, test } from 'vitest';
import { createFakeGateway, type FakeGatewayOptions } from '../../../../test/fakes/gateway.ts';
import { createFakeProvider, FakeAnswer } from '../../../../test/fakes/provider.ts';

const anthropic = { 'anthropic-version': '2023-06-01' };

async function setUp(options: Partial<FakeGatewayOptions> = {}) {
  const provider = createFakeProvider({
    id: 'p',
    dialects: ['anthropic-messages'],
    models: ['m1', 'm2', 'm3', 'hidden'],
    countsTokens: true,
  });
  const plain = createFakeProvider({ id: 'plain', models: ['m4'] });
  const gateway = await createFakeGateway({
    providers: [provider, plain],
    aliases: { instant: [{ provider: 'p', model: 'm1' }] },
    allows: (model) => !model.endsWith('hidden'),
    ...options,
  });
  const get = async (path: string, query = '', headers: Readonly<Record<string, string>> = {}) => {
    const { reply } = await gateway.ask({ method: 'GET', path, query, headers });
    // Every answer of these routes is a JSON object.
    return { status: reply.status, body: JSON.parse(reply.text) as Record<string, unknown> };
  };
  return { provider, plain, gateway, get };
}

function idsOf(body: Record<string, unknown>): unknown[] {
  const { data } = body;
  return Array.isArray(data) ? data.map((model: { id: string }) => model.id) : [];
}

describe('the list of models', () => {
  test('has what the caller may use, aliases first, in the shape of OpenAI', async () => {
    const { get } = await setUp();
    const { body } = await get('/v1/models');
    expect(body).toMatchObject({ object: 'list' });
    expect(idsOf(body)).toEqual(['instant', 'p/m1', 'p/m2', 'p/m3', 'plain/m4']);
  });

  test('is paged in the shape of Anthropic', async () => {
    const { get } = await setUp();
    const page = async (query: string) => (await get('/v1/models', query, anthropic)).body;
    expect(idsOf(await page('limit=2'))).toEqual(['instant', 'p/m1']);
    expect(await page('limit=2')).toMatchObject({
      has_more: true,
      first_id: 'instant',
      last_id: 'p/m1',
    });
    expect(idsOf(await page('limit=2&after_id=p/m1'))).toEqual(['p/m2', 'p/m3']);
    expect(await page('limit=2&after_id=p/m3')).toMatchObject({
      data: [{ id: 'plain/m4', type: 'model' }],
      has_more: false,
    });
    expect(await page('after_id=plain/m4')).toEqual({
      data: [],
      has_more: false,
      first_id: null,
      last_id: null,
    });
    expect(await page('limit=2&before_id=p/m3')).toMatchObject({
      has_more: true,
      first_id: 'p/m1',
      last_id: 'p/m2',
    });
    expect(await page('limit=5&before_id=p/m1')).toMatchObject({ has_more: false });
  });

  test.each([
    'limit=0',
    'limit=1001',
    'limit=x',
    'limit=',
    'limit=1.5',
    'limit=0x5',
    'after_id=no',
    'before_id=p/hidden',
  ])('refuses the page %s', async (query) => {
    const { get } = await setUp();
    const { status, body } = await get('/v1/models', query, anthropic);
    expect(status).toBe(400);
    expect(body).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } });
  });

  test('gives one model by its name, encoded or not, in either shape', async () => {
    const { get } = await setUp();
    expect((await get('/v1/models/p%2Fm1')).body).toMatchObject({ id: 'p/m1', owned_by: 'p' });
    expect((await get('/v1/models/p/m1', '', anthropic)).body).toMatchObject({
      id: 'p/m1',
      type: 'model',
    });
  });

  test('has no bare name, no hidden one and no unknown one: all the same 404', async () => {
    const { get } = await setUp();
    for (const id of ['m1', 'p/hidden', 'p/none', 'nobody/m1', '%', '']) {
      // oxlint-disable-next-line no-await-in-loop -- one request after the other
      const { status, body } = await get(`/v1/models/${id}`);
      expect(status).toBe(404);
      expect(body).toMatchObject({ error: { code: 'model_not_found' } });
    }
  });

  test('is asked for again once when a model is missing', async () => {
    const { provider, gateway, get } = await setUp();
    gateway.clock.advance(5_000);
    provider.listing = () => Promise.resolve({ ok: true, value: [{ id: 'new' }] });
    expect((await get('/v1/models/p/new')).status).toBe(200);
    expect((await get('/v1/models/p/newer')).status).toBe(404);
    expect(provider.lists).toBe(2);
  });

  test('is not asked for again for who may not use what is missing', async () => {
    const { provider, gateway, get } = await setUp();
    gateway.clock.advance(5_000);
    await get('/v1/models/p/also-hidden');
    const { reply } = await gateway.ask({
      body: { model: 'p/also-hidden', messages: [{ role: 'user', content: 'x' }] },
    });
    expect(reply.status).toBe(404);
    expect(provider.lists).toBe(1);
  });
});

describe('health', () => {
  test.each(['/health', '/healthz', '/livez', '/readyz'])(
    '%s is open and says no more',
    async (path) => {
      const { get, gateway } = await setUp();
      expect(await get(path)).toEqual({ status: 200, body: { status: 'ok' } });
      expect((await get(path, 'verbose')).body).toEqual({ status: 'ok' });
      expect(gateway.settlements).toEqual([]);
    },
  );

  test('shows its checks to administrators who ask', async () => {
    const { get } = await setUp({ isAdministrator: true });
    expect((await get('/readyz')).body).toEqual({ status: 'ok' });
    expect((await get('/readyz', 'verbose')).body).toEqual({
      status: 'ok',
      checks: [{ name: 'draining', ok: true, message: 'accepting' }],
    });
  });

  test('is 503 where a check fails, and says nothing of it to others', async () => {
    const { get } = await setUp({
      change: (options) => ({
        ...options,
        health: { readiness: () => [{ name: 'store', ok: false, message: 'gone' }] },
      }),
    });
    expect(await get('/readyz')).toEqual({ status: 503, body: { status: 'unavailable' } });
    expect((await get('/livez')).status).toBe(200);
  });
});

test('whoami names the machine, its own address and the caller', async () => {
  const { get } = await setUp();
  expect((await get('/whoami')).body).toEqual({
    hostname: 'box',
    private_ip: '10.0.0.1',
    service: 'postern',
    note: expect.any(String),
    caller: {
      authority: 'tailnet',
      id: 'u1',
      kind: 'user',
      display: 'ann',
      selectors: ['ann@example.com'],
    },
  });
});

describe('count_tokens', () => {
  const path = '/v1/messages/count_tokens';
  const body = (model: string) => ({ model, messages: [{ role: 'user', content: 'hi' }] });

  test('asks the provider that counts, with the headers of the format', async () => {
    const { provider, gateway } = await setUp();
    provider.expect(new FakeAnswer().write('{"input_tokens":42}').end());
    const { reply } = await gateway.ask({
      path,
      headers: { ...anthropic, 'anthropic-beta': 'b', cookie: 'c' },
      body: body('p/m1'),
    });
    expect(JSON.parse(reply.text)).toEqual({ input_tokens: 42 });
    expect(provider.calls).toMatchObject([
      {
        path: '/v1/messages/count_tokens',
        body: '{"model":"m1","messages":[{"role":"user","content":"hi"}]}',
        headers: { ...anthropic, 'anthropic-beta': 'b' },
      },
    ]);
    expect(gateway.settlements).toMatchObject([
      { outcome: 'complete', target: 'p/m1', attempts: 1, usage: undefined },
    ]);
  });

  test('estimates where nobody counts', async () => {
    const { plain, gateway } = await setUp();
    const { reply } = await gateway.ask({ path, body: body('plain/m4') });
    expect(JSON.parse(reply.text)).toEqual({ input_tokens: expect.any(Number) });
    expect(plain.calls).toEqual([]);
    expect(gateway.settlements).toMatchObject([{ attempts: 0, usage: undefined }]);
  });

  test.each([
    ['{"tokens":1}', 200, 502],
    ['nonsense', 200, 502],
    ['{"type":"error","error":{"type":"invalid_request_error","message":"no"}}', 400, 400],
    ['{}', 529, 503],
  ])('passes on what is wrong (%s, %i)', async (text, status, expected) => {
    const { provider, gateway } = await setUp();
    provider.expect(new FakeAnswer('application/json', status).write(text).end());
    const { reply } = await gateway.ask({ path, body: body('p/m1') });
    expect(reply.status).toBe(expected);
    expect(JSON.parse(reply.text)).toMatchObject({ type: 'error' });
  });

  test('tells nobody of a model that he may not use', async () => {
    const { provider, gateway } = await setUp();
    const { reply } = await gateway.ask({ path, body: body('p/hidden') });
    expect(reply.status).toBe(404);
    expect(provider.calls).toEqual([]);
  });
});
