/** Budgets and limits that match a group: who is in it, only the policy in force says. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ScriptedUpstream, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { startGateway, type TestGateway } from './gateway.ts';
import { call, routes, whole } from './gateway-fixture.ts';

let upstream: ScriptedUpstream;
let gateway: TestGateway;

const policy = {
  tagOwners: { 'tag:gateway': [] },
  groups: { 'group:interns': ['ann@example.com'], 'group:others': ['bob@example.com'] },
  grants: [
    {
      src: ['ann@example.com', 'bob@example.com'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
    },
  ],
};

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: {
      providers: { oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] } },
      identities: {
        map: [
          { key: 'ann', as: ['ann@example.com'] },
          { key: 'bob', as: ['bob@example.com'] },
          { key: 'new', as: ['new@example.com'] },
        ],
      },
      prices: { '**': { input: '3', output: '15' } },
      budgets: {
        personal: { usd: '0.0001', every: 'day', per: 'user', match: ['group:interns'] },
        fresh: { usd: '3', every: 'day', per: 'user', match: ['new@example.com'] },
        named: { usd: '5', every: 'day', match: ['Bob@Example.com'] },
      },
      limits: {
        named: { slow: { requestsPerMinute: 60, per: 'user', match: ['group:interns'] } },
      },
    },
    policy: JSON.stringify(policy),
  });
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

async function chargesOf(key: string): Promise<{ budgets: unknown[]; limits: unknown[] }> {
  const answer = await fetch(`${gateway.url}/v1/usage`, {
    headers: { authorization: `Bearer ${key}` },
  });
  const { budgets, limits } = (await answer.json()) as Record<
    'budgets' | 'limits',
    Record<'account' | 'limit', unknown>[]
  >;
  return {
    budgets: budgets.map(({ account }) => account),
    limits: limits.map(({ limit }) => limit),
  };
}

const body = { ...routes['openai-chat'].body('oai/up', false), max_tokens: 100 };

test('a member pays from the budget of the group and counts under its limit', async () => {
  const key = await gateway.key('ann');
  expect(await chargesOf(key)).toEqual({
    budgets: ['personal/user:ann@example.com'],
    limits: ['slow'],
  });
  // A hundred tokens of output cost fifteen times what the member has.
  const answer = await call(gateway, { path: '/v1/chat/completions', key, body });
  expect([answer.status, answer.text]).toEqual([
    429,
    expect.stringContaining('insufficient_quota'),
  ]);
});

test('before anything was paid from it, an account has all that one in use has', async () => {
  const key = await gateway.key('new', {});
  const answer = await fetch(`${gateway.url}/v1/usage`, {
    headers: { authorization: `Bearer ${key}` },
  });
  const { budgets } = (await answer.json()) as { budgets: unknown };
  expect(budgets).toMatchObject([
    {
      account: 'fresh/user:new@example.com',
      every: 'day',
      capacity_usd: '3.00',
      remaining_usd: '3.00',
      held_usd: '0.00',
      spent_usd: '0.00',
      unused: true,
    },
  ]);
});

test('who is in another group does not, and is named whatever the case of the letters', async () => {
  const key = await gateway.key('bob');
  expect(await chargesOf(key)).toEqual({ budgets: ['named'], limits: [] });
  upstream.expect(whole['openai-chat']);
  const answer = await call(gateway, { path: '/v1/chat/completions', key, body });
  expect(answer.status).toBe(200);
});
