import { errorTable, isErrorCode } from '@postern/core/errors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { granting, startGateway } from './gateway.ts';
import { call, chat, refusalCases, unreachableIssuer, type World } from './refusal-cases.ts';

let world: World;

beforeAll(async () => {
  const upstream = await startScriptedUpstream();
  const baseUrl = `${upstream.url}/v1`;
  const common = { kind: 'openai', models: ['m'] } as const;
  const gateway = await startGateway({
    config: {
      providers: {
        up: { ...common, baseUrl, timeouts: { firstByteMs: 1_000 } },
        ant: { kind: 'anthropic', models: ['m', 'paid'], baseUrl: upstream.url },
        dead: { ...common, baseUrl: 'http://127.0.0.1:1/v1' },
        nowhere: { ...common, baseUrl: 'http://0.0.0.0:1/v1' },
        unpriced: { ...common, baseUrl: 'https://192.0.2.1/v1' },
      },
      prices: { 'nowhere/**': { input: 1, output: 1 }, 'ant/paid': { input: 1, output: 1 } },
      budgets: { broke: { usd: 0, every: 'never' } },
      identities: {
        map: [
          ...['wide', 'brief', 'leaver'].map((key) => ({ key, as: ['tag:wide'] })),
          { key: 'capped', as: ['tag:capped'] },
          { key: 'broke', as: ['tag:broke'] },
        ],
        issuers: [
          {
            issuer: unreachableIssuer,
            audience: ['postern'],
            algorithms: ['ES256'],
            jwksUrl: 'http://127.0.0.1:1/jwks.json',
          },
        ],
      },
      limits: { bodyBytes: 2_048, bodyPauseMs: 150 },
    },
    policy: granting({
      'tag:wide': { models: ['**'] },
      'tag:capped': { models: ['**'], maxOutputTokens: 5 },
      'tag:broke': { models: ['**'], budgets: ['broke'] },
    }),
  });
  const narrow = await startGateway({ config: { limits: { connections: 2 } } });
  const [wide, capped, stranger, broke] = await Promise.all(
    ['wide', 'capped', 'stranger', 'broke'].map((name) => gateway.key(name)),
  );
  if (wide === undefined || capped === undefined || stranger === undefined || broke === undefined)
    throw new Error('keys were made');
  world = { gateway, narrow, upstream, keys: { wide, capped, stranger, broke } };
});

afterAll(async () => {
  await Promise.all([world.gateway.stop(), world.narrow.stop(), world.upstream.close()]);
});

describe('every refusal over the wire', () => {
  test.each(Object.entries(refusalCases))('%s', async (name, { provoke, status, ...error }) => {
    const wire = await provoke(world);
    const { body } = wire;
    expect({ status: wire.status, error: body['error'] }).toMatchObject({ status, error });
    expect(JSON.stringify(body)).not.toContain('a secret detail');
    if (!isErrorCode(name)) throw new Error('cases are named by their codes');
    const retry = wire.headers['x-should-retry'];
    if (retry !== undefined) expect(retry).toBe(String(errorTable[name].retry === 'yes'));
  });

  const message = (model: string): string =>
    JSON.stringify({
      model,
      max_tokens: 5,
      messages: [{ role: 'user', content: 'hi' }],
    });

  test.each<readonly [number, string, Parameters<typeof call>[1]]>([
    [400, 'invalid_request_error', { body: '{' }],
    [400, 'invalid_request_error', { body: '{"model":"up/m","max_tokens":5}' }],
    [401, 'authentication_error', { key: 'pst_guess', body: message('up/m') }],
    [404, 'not_found_error', { body: message('up/other') }],
    [405, 'invalid_request_error', { method: 'GET' }],
    [413, 'request_too_large', { body: message('x'.repeat(3_000)) }],
    [502, 'api_error', { body: message('dead/m') }],
    [502, 'api_error', { body: message('nowhere/m') }],
  ])('%i is %s in the Messages format', async (status, type, options) => {
    const wire = await call(world, { path: '/v1/messages', ...options });
    expect([wire.status, wire.body['type'], wire.body['error']]).toEqual([
      status,
      'error',
      { type, message: expect.stringMatching(/\S/) },
    ]);
    expect(wire.body['request_id']).toBe(wire.headers['request-id']);
  });

  test.each<readonly [number, number, string]>([
    [400, 400, 'invalid_request_error'],
    [401, 502, 'api_error'],
    [429, 429, 'rate_limit_error'],
    [500, 502, 'api_error'],
    [503, 503, 'overloaded_error'],
  ])('%i of an upstream is %i %s in the Messages format', async (said, status, type) => {
    world.upstream.expect({ status: said, pieces: ['{"error":{"message":"no"}}'] });
    const wire = await call(world, { path: '/v1/messages', body: message('up/m') });
    expect([wire.status, wire.body['error']]).toMatchObject([status, { type }]);
  });

  test('what is refused before an upstream is asked reaches none', async () => {
    const before = world.upstream.received.length;
    for (const body of [chat('nowhere/m'), chat('ant/m', { n: 2 }), chat('up/other'), '{']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { status } = await call(world, { body });
      expect(status).toBeGreaterThanOrEqual(400);
    }
    expect(world.upstream.received.length).toBe(before);
  });
});
