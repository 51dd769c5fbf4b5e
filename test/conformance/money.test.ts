/** Money and limits over a whole gateway: what upstreams say was used is what the budgets paid, in every format. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ScriptedUpstream, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { granting, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import { call, type InFormat, inFormats, routes, streamed, whole } from './gateway-fixture.ts';

let upstream: ScriptedUpstream;
let gateway: TestGateway;
const keys: Record<string, string> = {};

// Odd rates, so that a class that is billed as another one shows. US dollars a million tokens = nano-USD / 1000 a token.
const input = '3.000007';
const output = '15.000011';
/** 11 in, 7 out: what every script of the fixture reports. */
const costOfAnswer = Math.ceil((11 * 3_000_007_000 + 7 * 15_000_011_000) / 1_000_000);

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: {
      providers: {
        oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] },
        chat: { kind: 'openai', api: ['chat'], baseUrl: `${upstream.url}/v1`, models: ['up'] },
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['up'] },
      },
      identities: keysAsTags('poor', 'brook', 'slow', 'counted', 'alone'),
      prices: { '**': { input, output } },
      budgets: {
        books: { usd: '100', every: 'never' },
        poor: { usd: '0.001', every: 'day' },
        brook: { usd: '0.04', every: 'day' },
        everyone: { usd: '1000', every: 'month', match: ['*'] },
      },
      limits: {
        named: {
          slow: { requestsPerMinute: 2, tokensPerMinute: 1_000_000, per: 'key' },
          counted: { requestsPerMinute: 2, tokensPerMinute: 10, per: 'key' },
          alone: { concurrent: 1, per: 'key' },
        },
      },
    },
    policy: granting({
      'tag:poor': { models: ['**'], budgets: ['poor'] },
      'tag:brook': { models: ['**'], budgets: ['brook'] },
      'tag:slow': { models: ['**'], limits: ['slow'] },
      'tag:counted': { models: ['**'], limits: ['counted'] },
      'tag:alone': { models: ['**'], limits: ['alone'] },
      // Every key has this tag: the first grant that fits counts.
      'tag:key': { models: ['**'], budgets: ['books'] },
    }),
  });
  // oxlint-disable-next-line no-await-in-loop -- six of them
  for (const name of ['payer', 'poor', 'brook', 'slow', 'counted', 'alone'])
    keys[name] = await gateway.key(name);
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const key = (name: string): string => keys[name] ?? '';

async function account(name: string): Promise<Record<string, string>> {
  const { body } = await gateway.control('GET', '/api/v1/budgets');
  const items = body['items'] as Record<string, string>[];
  return items.find((item) => item['account'] === name) ?? {};
}

async function spentNano(): Promise<{ requests: number; nano: number }> {
  const { body } = await gateway.control('GET', '/api/v1/usage?by=budget');
  const items = body['items'] as Record<string, string | number>[];
  const books = items.find((item) => item['key'] === 'books');
  return { requests: Number(books?.['requests'] ?? 0), nano: Number(books?.['nano_usd'] ?? 0) };
}

type Out = 'oai' | 'chat' | 'ant';

function spoken(format: InFormat, out: Out): keyof typeof whole {
  if (out === 'ant') return 'anthropic';
  return out === 'oai' && format === 'openai-completions' ? 'openai-completions' : 'openai-chat';
}

const cases = inFormats.flatMap((format) =>
  (['oai', 'chat', 'ant'] as const).flatMap((out) =>
    [false, true].map((stream) => ({ format, out, stream })),
  ),
);

describe('what budgets pay is what upstreams say was used', () => {
  test.each(cases)(
    '$format over $out, streamed: $stream, to the nano-dollar',
    async ({ format, out, stream }) => {
      const before = await spentNano();
      upstream.expect((stream ? streamed : whole)[spoken(format, out)]);
      const answer = await call(gateway, {
        path: routes[format].path,
        key: key('payer'),
        body: routes[format].body(`${out}/up`, stream),
      });
      expect(answer.status).toBe(200);
      await gateway.logged((line) => line['request_id'] === answer.headers['x-request-id']);
      const after = await spentNano();
      expect(after.requests - before.requests).toBe(1);
      expect(after.nano - before.nano).toBe(costOfAnswer);
    },
  );

  test('every budget that applies is charged the same, and the log says what it was', async () => {
    upstream.expect(whole['openai-chat']);
    const answer = await call(gateway, {
      path: '/v1/chat/completions',
      key: key('payer'),
      body: routes['openai-chat'].body('oai/up', false),
    });
    const line = await gateway.logged(
      (each) => each['request_id'] === answer.headers['x-request-id'],
    );
    expect(line['cost_nano_usd']).toBe(costOfAnswer);
    const [books, everyone] = [await account('books'), await account('everyone')];
    expect(books['spent_usd']).toBe(everyone['spent_usd']);
    expect(books['lost_usd']).toBe('0.00');
  });
});

describe('a budget without room', () => {
  const ask = (more: object, path = '/v1/chat/completions') =>
    call(gateway, {
      path,
      key: key('poor'),
      body: { ...routes['openai-chat'].body('oai/up', false), max_tokens: 4_000, ...more },
    });

  test('refuses before anything is sent, in the words of openai', async () => {
    const sent = upstream.received.length;
    const answer = await ask({});
    expect(answer.status).toBe(429);
    expect(answer.headers['x-should-retry']).toBe('false');
    // More than the budget ever holds: no wait helps.
    expect(answer.headers).not.toHaveProperty('retry-after');
    expect(JSON.parse(answer.text)).toMatchObject({
      error: { type: 'insufficient_quota', code: 'insufficient_quota' },
    });
    expect(upstream.received).toHaveLength(sent);
  });

  test('refuses in the words of anthropic', async () => {
    const answer = await ask({}, '/v1/messages');
    expect(answer.status).toBe(429);
    expect(JSON.parse(answer.text)).toMatchObject({
      type: 'error',
      error: { type: 'rate_limit_error' },
    });
  });

  test('still pays for what fits, and a cap of ours is made to fit and sent upstream', async () => {
    upstream.expect(whole['openai-chat']);
    const { max_tokens: _, ...body } = {
      ...routes['openai-chat'].body('oai/up', false),
      max_tokens: 0,
    };
    const answer = await call(gateway, {
      path: '/v1/chat/completions',
      key: key('poor'),
      body,
    });
    expect(answer.status).toBe(200);
    const sent = JSON.parse(upstream.received.at(-1)?.body ?? '{}') as Record<string, number>;
    const cap = sent['max_tokens'] ?? sent['max_completion_tokens'] ?? 0;
    expect(cap).toBeGreaterThanOrEqual(16);
    expect(cap).toBeLessThan(67);
  });

  test('says when it has room again, where it ever will', async () => {
    upstream.expect(whole['openai-chat']);
    expect((await ask({ max_tokens: 40 })).status).toBe(200);
    const answer = await ask({ max_tokens: 60 });
    expect(answer.status).toBe(429);
    expect(answer.headers['x-should-retry']).toBe('false');
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.text).toContain('There is room for about');
  });

  test('is full again when the operator says so', async () => {
    const before = await account('poor');
    expect(before['remaining_usd']).not.toBe('0.001');
    const done = await gateway.control('POST', '/api/v1/budgets/refill', { account: 'poor' });
    expect(done.status).toBe(200);
    expect((await account('poor'))['remaining_usd']).toBe('0.001');
    const unknown = await gateway.control('POST', '/api/v1/budgets/refill', { account: 'nobody' });
    expect(unknown.status).toBe(404);
  });

  test.each([
    ['poor/', 'all share budget \\"poor\\"; fill up \\"poor\\"'],
    ['poor/user:x', 'all share budget \\"poor\\"; fill up \\"poor\\"'],
    ['nobody/user:x', 'no budget for \\"nobody/user:x\\" in the configuration'],
  ])('%s is no account and becomes none', async (name, why) => {
    const before = await gateway.control('GET', '/api/v1/budgets');
    const refused = await gateway.control('POST', '/api/v1/budgets/refill', { account: name });
    expect(refused.status).toBe(404);
    expect(JSON.stringify(refused.body)).toContain(why);
    expect(await gateway.control('GET', '/api/v1/budgets')).toEqual(before);
  });
});

/** Begins when it is first waited for. */
function moment(): Promise<void> {
  // oxlint-disable-next-line unicorn/no-thenable -- a wait that has not begun yet
  return { then: (done: () => void) => setTimeout(done, 5) } as unknown as Promise<void>;
}

describe('a stream that outgrows its budget', () => {
  test('ends with an error event, and is charged for what came until then', async () => {
    // A step of 2,000 tokens fits, the next one does not.
    const words = 'word '.repeat(400);
    const chunk = (content: string): string =>
      `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;
    upstream.expect({
      ...streamed['openai-chat'],
      // As models write: not all of it in one packet, which would be used before anybody could look.
      pieces: Array.from({ length: 20 }, () => [chunk(words), { wait: moment() }]).flat(),
    });
    const answer = await call(gateway, {
      path: '/v1/chat/completions',
      key: key('brook'),
      body: { ...routes['openai-chat'].body('oai/up', true), max_tokens: 100_000 },
    });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('insufficient_quota');
    expect(answer.text).not.toContain('[DONE]');
    const line = await gateway.logged(
      (each) => each['request_id'] === answer.headers['x-request-id'],
    );
    expect(line).toMatchObject({ outcome: 'failed', error: 'budget_exhausted', estimated: true });
    const brook = await account('brook');
    expect(Number(brook['spent_usd'])).toBeGreaterThan(0.015);
    expect(Number(brook['remaining_usd'])).toBeGreaterThanOrEqual(0);
    expect(brook['lost_usd']).toBe('0.00');
  });

  test('an answer without usage is charged by what was counted, never nothing', async () => {
    const before = await spentNano();
    const script = streamed['openai-chat'];
    const pieces = script.pieces.map((piece) =>
      typeof piece === 'string'
        ? piece.replaceAll(/"usage":\{[^}]*\}(?:\})?/g, '"usage":null')
        : piece,
    );
    upstream.expect({ ...script, pieces });
    await call(gateway, {
      path: '/v1/chat/completions',
      key: key('payer'),
      body: routes['openai-chat'].body('oai/up', true),
    });
    const after = await spentNano();
    expect(after.nano - before.nano).toBeGreaterThan(0);
  });
});

describe('limits', () => {
  test('come with the headers of openai, and end in 429 with a wait', async () => {
    const ask = () => {
      upstream.expect(whole['openai-chat']);
      return call(gateway, {
        path: '/v1/chat/completions',
        key: key('slow'),
        body: routes['openai-chat'].body('oai/up', false),
      });
    };
    const first = await ask();
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-limit-tokens': '1000000',
    });
    upstream.expect(whole.anthropic);
    const second = await call(gateway, {
      path: '/v1/messages',
      key: key('slow'),
      body: routes['anthropic-messages'].body('ant/up', false),
    });
    expect(second.headers['anthropic-ratelimit-requests-remaining']).toBe('0');
    expect(second.headers['anthropic-ratelimit-requests-reset']).toMatch(/^\d{4}-.*Z$/);
    const third = await call(gateway, {
      path: '/v1/chat/completions',
      key: key('slow'),
      body: routes['openai-chat'].body('oai/up', false),
    });
    expect(third.status).toBe(429);
    expect(JSON.parse(third.text)).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
    expect(third.text).toContain(
      `allows you 2 requests a minute, and this request is above it. Try again in ${third.headers['retry-after']} s`,
    );
    expect(Number(third.headers['retry-after'])).toBeGreaterThan(0);
    expect(third.headers).toMatchObject({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '0',
    });
    const inAnthropic = await call(gateway, {
      path: '/v1/messages',
      key: key('slow'),
      body: routes['anthropic-messages'].body('ant/up', false),
    });
    expect(inAnthropic.status).toBe(429);
    expect(inAnthropic.headers).toMatchObject({
      'anthropic-ratelimit-requests-limit': '2',
      'anthropic-ratelimit-requests-remaining': '0',
    });
  });

  test('of requests count those that count tokens, and of tokens they do not', async () => {
    const ask = () => {
      upstream.expect({ pieces: ['{"input_tokens":9}'] });
      return call(gateway, {
        path: '/v1/messages/count_tokens',
        key: key('counted'),
        body: routes['anthropic-messages'].body('ant/up', false),
      });
    };
    const first = await ask();
    expect(first.status).toBe(200);
    expect(first.headers).toMatchObject({
      'anthropic-ratelimit-requests-remaining': '1',
      'anthropic-ratelimit-tokens-remaining': '10',
    });
    expect([(await ask()).status, (await ask()).status]).toEqual([200, 429]);
    upstream.forget();
    const { body } = await gateway.control('GET', '/api/v1/usage?by=user');
    expect(JSON.stringify(body)).not.toContain('counted');
  });

  test('of requests at a time count those that are open', async () => {
    upstream.expect(whole['openai-chat'], whole['openai-chat']);
    const ask = () =>
      call(gateway, {
        path: '/v1/chat/completions',
        key: key('alone'),
        body: routes['openai-chat'].body('oai/up', false),
      });
    const answers = await Promise.all([ask(), ask()]);
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 429]);
    expect(answers.find(({ status }) => status === 429)?.text).toContain(
      'allows you 1 request at a time. Try again when one has ended',
    );
    expect((await ask()).status).toBe(200);
  });
});

test('GET /v1/usage shows a caller their own limits, balances and use', async () => {
  const answer = await call(gateway, { method: 'GET', path: '/v1/usage', key: key('slow') });
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.text)).toMatchObject({
    object: 'usage',
    limits: [{ limit: 'slow', requests: { per_minute: 2, remaining: 0 } }],
    budgets: expect.arrayContaining([
      expect.objectContaining({ budget: 'everyone', capacity_usd: '1000.00' }),
    ]),
    use: { models: expect.arrayContaining([expect.objectContaining({ requests: 1 })]) },
  });
});
