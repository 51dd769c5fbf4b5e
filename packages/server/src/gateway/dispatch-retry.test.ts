import { type Refusal, refusal } from '@postern/core/errors';
import { describe, expect, test } from 'vitest';
import { createFakeGateway, settled } from '../../../../test/fakes/gateway.ts';
import {
  createFakeProvider,
  FakeAnswer,
  type FakeProvider,
} from '../../../../test/fakes/provider.ts';
import type { AttemptEnd } from './attempts.ts';
import type { ProviderRules } from './fleet/index.ts';
import { plainRules } from './fleet/index.ts';

const hello = () =>
  new FakeAnswer()
    .write(
      '{"id":"c","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}',
    )
    .end();

/** An error answer with a `retry-after`. */
class Later extends FakeAnswer {
  override readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, retryAfter: string) {
    super('application/json', status);
    this.headers = { 'content-type': 'application/json', 'retry-after': retryAfter };
    this.write('{}').end();
  }
}

const retry = { times: 2, ratio: 0.2, burst: 10 };
const queue = { length: 8, waitMs: 5_000, whileBusy: 'nextTarget' } as const;

function provider(id: string, rules: Partial<ProviderRules> = {}): FakeProvider {
  return Object.assign(createFakeProvider({ id }), { rules: { ...plainRules, retry, ...rules } });
}

async function setUp(rules: Partial<ProviderRules> = {}) {
  const a = provider('a', rules);
  const b = provider('b', rules);
  const ends: string[] = [];
  const describeEnd = ({ outcome, refusal: why, usage, chars }: AttemptEnd): string =>
    `${outcome} ${why?.code ?? ''} ${usage?.output ?? 'none'} ${chars}`;
  const gateway = await createFakeGateway({
    providers: [a, b],
    aliases: {
      instant: [
        { provider: 'a', model: 'up' },
        { provider: 'b', model: 'up' },
      ],
      split: [
        { provider: 'a', model: 'up', tier: 0, weight: 1 },
        { provider: 'b', model: 'up', tier: 0, weight: 3 },
      ],
    },
    random: () => 0.5,
    change: (options) => ({
      ...options,
      attempts:
        (_, { target }, number) =>
        (end) => {
          ends.push(`${number} ${target.provider}: ${describeEnd(end)}`);
        },
    }),
  });
  const open = (model: string, more: object = {}) =>
    gateway.open({ body: { model, messages: [{ role: 'user', content: 'hi' }], ...more } });
  return { a, b, gateway, open, ends, clock: gateway.clock };
}

const broken = refusal('upstream_error', 'x', { detail: { upstreamStatus: 500 } });
const gone = refusal('upstream_unavailable', 'x', {
  detail: { stage: 'connect', cause: 'ECONNREFUSED' },
});

describe('the last target that failed is asked again', () => {
  test.each<[string, Refusal]>([
    ['does not take the connection', gone],
    ['fails', broken],
    ['says when to come back', refusal('upstream_overloaded', 'x', { retryAfterMs: 20 })],
  ])('when it %s, after a short wait with jitter', async (_, why) => {
    const { a, open, clock, gateway, ends } = await setUp();
    a.expect(why, why, hello());
    const { reply, done } = open('a/up');
    await settled();
    expect(a.calls).toHaveLength(1);
    const waitMs = 75 + (why.retryAfterMs ?? 0);
    clock.advance(waitMs - 1);
    await settled();
    expect(a.calls).toHaveLength(1);
    clock.advance(1);
    await settled();
    expect(a.calls).toHaveLength(2);
    clock.advance(1_000);
    await done;
    expect(reply.status).toBe(200);
    expect(gateway.settlements).toMatchObject([{ attempts: 3, target: 'a/up' }]);
    expect(gateway.fleet.counters).toMatchObject({ attempts: 3, retries: 2, fallbacks: 0 });
    expect(ends).toEqual([
      `1 a: failed ${why.code} none 0`,
      `2 a: failed ${why.code} none 0`,
      '3 a: complete  1 0',
    ]);
  });

  test('but only as often as the rules say, and as the budget of all requests allows', async () => {
    const { a, open, clock, gateway } = await setUp({ retry: { times: 2, ratio: 0.1, burst: 1 } });
    a.expect(...Array.from({ length: 9 }, () => broken));
    for (let i = 0; i < 3; i += 1) {
      const { reply, done } = open('a/up');
      // oxlint-disable-next-line no-await-in-loop -- one request after the other
      await settled();
      clock.advance(1_000);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await settled();
      clock.advance(1_000);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await done;
      expect(reply.status).toBe(502);
    }
    // Three first tries and the one retry that was saved up.
    expect(a.calls).toHaveLength(4);
    expect(gateway.fleet.counters).toMatchObject({ retries: 1, retriesDenied: 3 });
  });

  test('and never waits for a caller who has left', async () => {
    const { a, open, clock } = await setUp();
    a.expect(broken);
    const opened = open('a/up');
    await settled();
    opened.leave();
    await opened.done;
    expect(a.calls).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });
});

describe('a wait of over a second', () => {
  test.each([
    ['in seconds', '2', '2'],
    ['as a date', new Date(1_000_000 + 30_000).toUTCString(), '30'],
  ])('%s is never slept: the next target answers', async (_, text) => {
    const { a, b, open, clock } = await setUp();
    a.expect(new Later(429, text));
    b.expect(hello());
    const { reply, done } = open('instant');
    await done;
    expect([reply.status, a.calls.length, clock.pending]).toEqual([200, 1, 0]);
  });

  test.each([
    [429, '2', 429, '2'],
    [429, new Date(1_000_000 + 30_000).toUTCString(), 429, '30'],
    [503, '5', 503, '5'],
    [529, '5', 503, '5'],
  ])(
    'of a %i with %j goes to the caller at once where no target is left',
    async (status, text, shown, seconds) => {
      const { a, open } = await setUp();
      a.expect(new Later(status, text));
      const { reply, done } = open('a/up');
      await done;
      expect([reply.status, a.calls.length]).toEqual([shown, 1]);
      expect(reply.headers['retry-after']).toBe(seconds);
    },
  );
});

describe('targets that share by weight', () => {
  test('are drawn, and the other one follows a failure without a wait', async () => {
    const { a, b, open, gateway, ends } = await setUp();
    b.expect(gone);
    a.expect(hello());
    const { reply, done } = open('split');
    await done;
    expect(reply.status).toBe(200);
    expect(gateway.fleet.counters).toMatchObject({ fallbacks: 1, retries: 0 });
    expect(ends.map((end) => end.slice(0, 3))).toEqual(['1 b', '2 a']);
  });
});

describe('a busy target', () => {
  test('gives way to the next, and is waited for where there is none', async () => {
    const { a, b, open, clock } = await setUp({ maxConcurrent: 1, queue });
    const first = open('a/up');
    await settled();
    b.expect(hello());
    const second = open('instant');
    await second.done;
    expect(second.reply.status).toBe(200);
    const third = open('a/up');
    await settled();
    expect([a.calls.length, b.calls.length]).toEqual([1, 1]);
    a.expect(hello());
    first.leave();
    await Promise.all([first.done, third.done]);
    expect(third.reply.status).toBe(200);
    const fourth = open('a/up');
    await settled();
    const fifth = open('a/up');
    await settled();
    clock.advance(5_000);
    await fifth.done;
    expect(fifth.reply.status).toBe(503);
    expect(fifth.reply.text).toContain('"overloaded"');
    fourth.leave();
    await fourth.done;
  });

  test('is waited for although another could answer, where the rules say so', async () => {
    const { a, b, open } = await setUp({
      maxConcurrent: 1,
      queue: { ...queue, whileBusy: 'wait' },
    });
    const first = open('a/up');
    await settled();
    const second = open('instant');
    await settled();
    a.expect(hello());
    first.leave();
    await Promise.all([first.done, second.done]);
    expect([second.reply.status, b.calls.length]).toEqual([200, 0]);
  });

  test('keeps its place until the answer is over, also for a caller who reads slowly', async () => {
    const { a, open, gateway } = await setUp({ maxConcurrent: 1, queue });
    const answer = new FakeAnswer('text/event-stream');
    a.expect(answer);
    const { done, reply } = open('a/up', { stream: true });
    await settled();
    answer.write('data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n');
    await settled();
    expect(reply.started).toBe(true);
    expect(gateway.fleet.states()).toMatchObject([{ provider: 'a', inFlight: 1 }]);
    answer
      .write(
        'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
      )
      .end();
    await done;
    expect(gateway.fleet.states()).toMatchObject([{ inFlight: 0 }]);
  });
});

test('a defect in a provider gives its place back', async () => {
  const { a, open, gateway } = await setUp({ maxConcurrent: 1, queue });
  a.expect(() => {
    throw new Error('a bug');
  });
  const { reply, done } = open('a/up');
  await done;
  expect(reply.status).toBe(500);
  expect(gateway.faults).toHaveLength(1);
  expect(gateway.fleet.states()).toMatchObject([{ inFlight: 0 }]);
});
