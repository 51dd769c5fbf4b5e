import { errorTable, isErrorCode } from '@postern/core/errors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { startGateway } from './gateway.ts';
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
        ant: { kind: 'anthropic', models: ['m'], baseUrl: upstream.url },
        dead: { ...common, baseUrl: 'http://127.0.0.1:1/v1' },
        nowhere: { ...common, baseUrl: 'http://0.0.0.0:1/v1' },
      },
      identities: {
        issuers: [
          {
            issuer: unreachableIssuer,
            audience: ['postern'],
            algorithms: ['ES256'],
            jwksUrl: 'http://127.0.0.1:1/jwks.json',
          },
        ],
      },
      access: [
        { who: ['key:wide', 'key:brief', 'key:leaver'], models: ['**'] },
        { who: ['key:capped'], models: ['**'], maxOutputTokens: 5 },
      ],
      limits: { bodyBytes: 2_048, bodyPauseMs: 150 },
    },
  });
  const narrow = await startGateway({ config: { limits: { connections: 2 } } });
  const [wide, capped, stranger] = await Promise.all(
    ['wide', 'capped', 'stranger'].map((name) => gateway.key(name)),
  );
  if (wide === undefined || capped === undefined || stranger === undefined)
    throw new Error('keys were made');
  world = { gateway, narrow, upstream, keys: { wide, capped, stranger } };
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
