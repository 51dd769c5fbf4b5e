import { refusal, refuse } from '@postern/core/errors';
import { describe, expect, test } from 'vitest';
import {
  createFakeGateway,
  type FakeGatewayOptions,
  settled,
} from '../../../../test/fakes/gateway.ts';
import { createFakeProvider, FakeAnswer } from '../../../../test/fakes/provider.ts';
import type { GatewayOptions } from './routes.ts';

const usage = { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 };
const whole = (more: object = { usage }, content = 'Hello there, you') =>
  new FakeAnswer()
    .write(
      JSON.stringify({
        id: 'c',
        object: 'chat.completion',
        created: 1,
        model: 'up',
        choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
        ...more,
      }),
    )
    .end();
const chunk = (more: object): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [], ...more })}\n\n`;
const said = (content: string) =>
  chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
const stopped = chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });

async function setUp(options: Partial<FakeGatewayOptions> = {}) {
  const provider = createFakeProvider({ id: 'p' });
  const gateway = await createFakeGateway({ providers: [provider], ...options });
  const request = (more: object = {}, path = '/v1/chat/completions') => ({
    path,
    body: { model: 'p/up', messages: [{ role: 'user', content: 'hi' }], max_tokens: 9, ...more },
  });
  return { provider, gateway, request };
}

describe('every request is settled once', () => {
  test.each([
    ['a whole answer', false],
    ['a stream', true],
  ])('and %s takes no less than no time where the clock was set back', async (_, stream) => {
    const { provider, gateway, request } = await setUp();
    const streamed = new FakeAnswer('text/event-stream');
    provider.expect(
      stream ? streamed.write(said('Hi'), stopped, 'data: [DONE]\n\n').end() : whole(),
    );
    const hourAhead = { receivedAtMs: gateway.clock.nowMs() + 3_600_000 };
    await gateway.ask({ ...request({ stream }), ...hourAhead });
    expect(gateway.settlements).toMatchObject([
      { outcome: 'complete', durationMs: 0, firstByteMs: 0 },
    ]);
  });

  test('when it is answered', async () => {
    const { provider, gateway, request } = await setUp();
    provider.expect(whole());
    await gateway.ask(request());
    expect(gateway.settlements).toMatchObject([
      {
        outcome: 'complete',
        status: 200,
        dialect: 'openai-chat',
        asked: 'p/up',
        model: 'p/up',
        target: 'p/up',
        decisionId: 'd1',
        attempts: 1,
        estimated: false,
        usage: { input: 20, output: 5 },
        caller: { subject: { id: 'u1' } },
      },
    ]);
  });

  test.each([
    ['in the body', { inputTextTokenCount: 3 }, {}],
    ['in a header', {}, { 'x-amzn-bedrock-input-token-count': '3' }],
  ])('vectors of Amazon’s cost what is said %s', async (_where, more, headers) => {
    const provider = createFakeProvider({ id: 'p', dialects: ['bedrock-invoke'] });
    const gateway = await createFakeGateway({ providers: [provider] });
    const answer = new FakeAnswer('application/json', 200, headers);
    const embedding = Array.from({ length: 256 }, () => 0.123_456_78);
    provider.expect(answer.write(JSON.stringify({ embedding, ...more })).end());
    const path = '/bedrock/model/p%2Fup/invoke';
    await gateway.ask({ path, body: { inputText: 'Hello there' } });
    expect(gateway.settlements).toMatchObject([
      { outcome: 'complete', estimated: false, usage: { input: 3, output: 0 } },
    ]);
  });

  test('vectors that nobody counted cost their prompt, and no output', async () => {
    const provider = createFakeProvider({ id: 'p', dialects: ['openai-embeddings'] });
    const gateway = await createFakeGateway({ providers: [provider] });
    const data = [{ object: 'embedding', index: 0, embedding: [0.5, 0.25, 0.125] }];
    const body = { object: 'list', model: 'up', data };
    provider.expect(new FakeAnswer().write(JSON.stringify(body)).end());
    await gateway.ask({ path: '/v1/embeddings', body: { model: 'p/up', input: 'Hello there' } });
    const [settlement] = gateway.settlements;
    expect(settlement).toMatchObject({
      outcome: 'complete',
      estimated: true,
      usage: { output: 0 },
    });
    expect(settlement?.usage?.input).toBeGreaterThan(0);
  });

  test.each<[string, (options: GatewayOptions) => GatewayOptions, number]>([
    [
      'nobody is known',
      (options) => ({
        ...options,
        identify: () => Promise.resolve(refuse('credential_missing', 'who?')),
      }),
      401,
    ],
    [
      'identification fails by a defect',
      (options) => ({ ...options, identify: () => Promise.reject(new Error('bug')) }),
      500,
    ],
    [
      'the configuration cannot be read by a defect',
      (options) => ({
        ...options,
        view: () => {
          throw new Error('bug');
        },
      }),
      500,
    ],
  ])('when %s', async (_, change, status) => {
    const { gateway, request } = await setUp({ change });
    const { reply } = await gateway.ask(request());
    expect(reply.status).toBe(status);
    expect(reply.text).not.toContain('bug');
    expect(gateway.settlements).toMatchObject([
      { outcome: 'refused', status, attempts: 0, usage: undefined },
    ]);
    expect(gateway.faults).toHaveLength(status === 500 ? 1 : 0);
  });

  test.each([
    ['/v1/none', 'POST', 404],
    ['/v1/messages', 'GET', 405],
    ['/whoami', 'POST', 405],
  ])('when there is no such route or method (%s %s)', async (path, method, status) => {
    const { gateway } = await setUp();
    await gateway.ask({ path, method });
    expect(gateway.settlements).toMatchObject([{ outcome: 'refused', status }]);
  });

  test('when a provider throws', async () => {
    const { provider, gateway, request } = await setUp();
    provider.expect(() => {
      throw new Error('bug');
    });
    expect((await gateway.ask(request())).reply.status).toBe(500);
    expect(gateway.settlements).toMatchObject([{ outcome: 'refused', usage: undefined }]);
  });

  test('when the stream ends in a defect: what was delivered is still charged', async () => {
    const { provider, gateway, request } = await setUp();
    const answer = new FakeAnswer('text/event-stream').write(said('nine chars'));
    answer.failure = () => {
      throw new Error('bug');
    };
    provider.expect(answer.end());
    const { reply } = await gateway.ask(request({ stream: true }));
    expect(reply.text).toContain('nine chars');
    expect(reply.text).not.toContain('[DONE]');
    expect(gateway.faults).toHaveLength(1);
    expect(gateway.settlements).toMatchObject([
      { outcome: 'failed', estimated: true, usage: { output: 4 }, refusal: { code: 'internal' } },
    ]);
    expect(gateway.clock.pending).toBe(0);
  });

  test('when the caller leaves before a name is resolved: nobody is charged', async () => {
    const { provider, gateway, request } = await setUp();
    provider.listing = () => new Promise(() => undefined);
    gateway.clock.advance(60_000);
    const opened = gateway.open(request({ model: 'p/new' }));
    await settled();
    opened.leave();
    await opened.done;
    expect(gateway.settlements).toMatchObject([
      { outcome: 'aborted', status: 499, attempts: 0, usage: undefined, refusal: undefined },
    ]);
  });
});

describe('usage', () => {
  test('that nobody reported is counted from the words, and never zero', async () => {
    const { provider, gateway, request } = await setUp();
    provider.expect(
      whole({}),
      whole({}),
      new FakeAnswer('text/event-stream').write(said('abc'), stopped, 'data: [DONE]\n\n').end(),
    );
    await gateway.ask(request());
    await gateway.ask(request({}, '/v1/messages'));
    await gateway.ask(request({ stream: true }));
    for (const settlement of gateway.settlements) {
      expect(settlement).toMatchObject({ outcome: 'complete', estimated: true });
      expect(settlement.usage?.input).toBeGreaterThan(0);
    }
    expect(gateway.settlements.map((each) => each.usage?.output)).toEqual([6, 6, 1]);
  });

  test('that nobody can believe is counted from the words, too', async () => {
    const { provider, gateway, request } = await setUp();
    const absurd = { prompt_tokens: 10, completion_tokens: 9e15, total_tokens: 9e15 };
    provider.expect(
      whole({ usage: absurd }),
      whole({ usage: absurd }),
      new FakeAnswer('text/event-stream')
        .write(said('abc'), stopped, chunk({ usage: absurd }), 'data: [DONE]\n\n')
        .end(),
    );
    await gateway.ask(request());
    await gateway.ask(request({}, '/v1/messages'));
    await gateway.ask(request({ stream: true }));
    expect(gateway.settlements.map((each) => each.estimated)).toEqual([true, true, true]);
    expect(gateway.settlements.map((each) => each.usage?.output)).toEqual([6, 6, 1]);
  });

  test('of reasoning beside the completion is all of the output, and the caller sees what was said', async () => {
    const { provider, gateway, request } = await setUp();
    const beside = { completion_tokens: 20, prompt_tokens: 10, total_tokens: 530 };
    provider.expect(
      whole({ usage: beside }),
      whole({ usage: beside }),
      new FakeAnswer('text/event-stream')
        .write(said('abc'), stopped, chunk({ usage: beside }), 'data: [DONE]\n\n')
        .end(),
    );
    const same = await gateway.ask(request());
    const translated = await gateway.ask(request({}, '/v1/messages'));
    await gateway.ask(request({ stream: true }));
    expect(gateway.settlements.map((each) => each.usage?.output)).toEqual([520, 520, 520]);
    expect(same.reply.text).toContain(JSON.stringify(beside));
    expect(translated.reply.text).toContain('"output_tokens":520');
  });

  test.each([
    ['none', 0],
    ['a text', '20'],
    ['no whole number', 20.5],
    ['below nothing', -20],
    ['null', null],
  ])('of a prompt that is %s leaves it to be estimated: no prompt is free', async (_, prompt) => {
    const { provider, gateway, request } = await setUp();
    const odd = { prompt_tokens: prompt, completion_tokens: 5 };
    provider.expect(
      whole({ usage: odd }),
      whole({ usage: odd }),
      new FakeAnswer('text/event-stream')
        .write(said('abc'), stopped, chunk({ usage: odd }), 'data: [DONE]\n\n')
        .end(),
    );
    await gateway.ask(request());
    await gateway.ask(request({}, '/v1/messages'));
    await gateway.ask(request({ stream: true }));
    for (const settlement of gateway.settlements) {
      expect(settlement).toMatchObject({ outcome: 'complete', estimated: true });
      expect(settlement.usage?.input).toBeGreaterThan(0);
      expect(settlement.usage?.output).toBe(5);
    }
    expect(gateway.settlements).toHaveLength(3);
  });

  test('that nobody reported is of every choice', async () => {
    const { provider, gateway, request } = await setUp();
    const message = { role: 'assistant', content: 'Hello there, you' };
    const choices = [0, 1, 2].map((index) => ({ index, message, finish_reason: 'stop' }));
    provider.expect(whole({ choices }));
    await gateway.ask(request({ n: 3 }));
    expect(gateway.settlements).toMatchObject([
      { outcome: 'complete', estimated: true, usage: { output: 16 } },
    ]);
  });

  test('of an answer that cannot be read is what it says', async () => {
    const { provider, gateway, request } = await setUp();
    provider.expect(whole({ choices: [], usage: { prompt_tokens: 20, completion_tokens: 700 } }));
    expect((await gateway.ask(request({}, '/v1/messages'))).reply.status).toBe(502);
    expect(gateway.settlements).toMatchObject([
      { outcome: 'refused', usage: { input: 20, output: 700 } },
    ]);
  });

  test('of thinking that the caller has no words for is counted where the stream broke off', async () => {
    const { provider, gateway } = await setUp();
    const thought = { reasoning_content: 'x'.repeat(300) };
    provider.expect(
      new FakeAnswer('text/event-stream')
        .write(chunk({ choices: [{ index: 0, delta: thought, finish_reason: null }] }))
        .end(refusal('upstream_error', 'broke off')),
    );
    const body = { model: 'p/up', stream: true, prompt: 'hi', max_tokens: 200 };
    expect((await gateway.ask({ path: '/v1/completions', body })).reply.status).toBe(502);
    expect(gateway.settlements).toMatchObject([
      { outcome: 'refused', estimated: true, usage: { output: 100 } },
    ]);
  });

  test('of an image is its price in tokens and not in characters', async () => {
    const { provider, gateway, request } = await setUp();
    provider.expect(whole({}));
    const url = `data:image/png;base64,${'A'.repeat(400_000)}`;
    await gateway.ask(
      request({
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
      }),
    );
    expect(gateway.settlements[0]?.usage?.input).toBeLessThan(10_000);
  });

  test('of a stream that broke off is the larger of report and count', async () => {
    const { provider, gateway, request } = await setUp();
    const cut = (reported: number, text: string) =>
      new FakeAnswer('text/event-stream')
        .write(said(text), chunk({ usage: { prompt_tokens: 20, completion_tokens: reported } }))
        .end(refusal('upstream_error', 'broke off'));
    provider.expect(cut(100, 'abc'), cut(1, 'x'.repeat(300)));
    await gateway.ask(request({ stream: true }));
    await gateway.ask(request({ stream: true }));
    expect(gateway.settlements).toMatchObject([
      { outcome: 'failed', estimated: true, usage: { input: 20, output: 100 } },
      { outcome: 'failed', estimated: true, usage: { input: 20, output: 100 } },
    ]);
  });

  test('of a caller who left is what was delivered, and the prompt', async () => {
    const { provider, gateway, request } = await setUp();
    const answer = new FakeAnswer('text/event-stream').write(said('x'.repeat(30)));
    provider.expect(answer);
    const opened = gateway.open(request({ stream: true }));
    await settled();
    opened.leave();
    await opened.done;
    expect(answer.isCancelled).toBe(true);
    expect(gateway.settlements).toMatchObject([
      { outcome: 'aborted', estimated: true, usage: { output: 10 }, refusal: undefined },
    ]);
  });

  test('of a refusal of the provider is none', async () => {
    const { provider, gateway, request } = await setUp();
    provider.expect(refusal('upstream_timeout', 'late'));
    await gateway.ask(request());
    expect(gateway.settlements).toMatchObject([
      { outcome: 'refused', attempts: 1, usage: undefined, estimated: false },
    ]);
  });
});
