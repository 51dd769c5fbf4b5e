import { refusal } from '@postern/core/errors';
import { describe, expect, test } from 'vitest';
import { createFakeGateway, settled } from '../../../../test/fakes/gateway.ts';
import { createFakeProvider, FakeAnswer } from '../../../../test/fakes/provider.ts';
import { gatewayLimits } from './limits.ts';

const chunk = (delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const done = `${chunk({}, 'stop')}data: [DONE]\n\n`;
const broken = refusal('upstream_error', 'broke off');
const heartbeatMs = 15_000;

async function begin(options: { readonly path?: string; readonly stream?: boolean } = {}) {
  const provider = createFakeProvider({ id: 'p' });
  const gateway = await createFakeGateway({ providers: [provider] });
  const stream = options.stream ?? true;
  const answer = new FakeAnswer(stream ? 'text/event-stream' : 'application/json');
  provider.expect(answer);
  const opened = gateway.open({
    path: options.path ?? '/v1/chat/completions',
    body: {
      model: 'p/up',
      max_tokens: 9,
      stream,
      messages: options.path === '/ask' ? undefined : [{ role: 'user', content: 'hi' }],
      ...(options.path === '/ask' ? { prompt: 'hi', max_tokens: undefined } : {}),
    },
  });
  await settled();
  return { ...opened, answer, gateway, clock: gateway.clock, settlements: gateway.settlements };
}

describe('the head of a stream', () => {
  test('goes out with the first bytes for the caller and not before', async () => {
    const { reply, answer, done: ended } = await begin();
    expect(reply.started).toBe(false);
    answer.write(chunk({ content: 'x' }).slice(0, 20));
    await settled();
    expect(reply.started).toBe(false);
    answer.write(chunk({ content: 'x' }).slice(20));
    await settled();
    expect(reply).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
    });
    answer.write(done).end();
    await ended;
    expect(reply.end).toBe('clean');
  });

  test.each([
    ['/v1/chat/completions', 'data: nonsense\n\n'],
    ['/v1/messages', 'data: nonsense\n\n'],
    ['/v1/chat/completions', ''],
    ['/v1/messages', ''],
  ])('is a status where the upstream fails before it (%s, %j)', async (path, bytes) => {
    const { reply, answer, done: ended, settlements } = await begin({ path });
    answer.write(bytes).end();
    await ended;
    expect(reply.status).toBe(502);
    expect(answer.isCancelled).toBe(true);
    expect(settlements).toMatchObject([{ outcome: 'refused', usage: undefined }]);
  });
});

describe('a failure after the first byte', () => {
  test.each([
    ['/v1/chat/completions', 'data: nonsense\n\n'],
    ['/v1/messages', 'data: nonsense\n\n'],
    ['/ask', 'data: {"error":{"message":"no","type":"server_error"}}\n\n'],
  ])('is an error event and no clean end (%s)', async (path, bytes) => {
    const { reply, answer, done: ended, settlements } = await begin({ path });
    answer.write(chunk({ role: 'assistant', content: 'Hello' }), bytes);
    await ended;
    expect(reply.status).toBe(200);
    expect(reply.text).toContain('Hello');
    expect(reply.text).toMatch(/"error"/);
    expect(reply.text).not.toMatch(/\[DONE\]|message_stop|latency_ms/);
    expect(answer.isCancelled).toBe(true);
    expect(settlements).toMatchObject([
      { outcome: 'failed', estimated: true, usage: { output: 2 } },
    ]);
  });

  test('of the connection is one, unless the last frame had come', async () => {
    const cut = await begin();
    cut.answer.write(chunk({ content: 'x' })).end(broken);
    await cut.done;
    expect(cut.settlements).toMatchObject([{ outcome: 'failed', refusal: broken }]);
    const late = await begin();
    late.answer.write(chunk({ content: 'x' }), done).end(broken);
    await late.done;
    expect(late.settlements).toMatchObject([{ outcome: 'complete', refusal: undefined }]);
    expect(late.reply.text.endsWith('data: [DONE]\n\n')).toBe(true);
  });
});

describe('heartbeats', () => {
  test('go out while the model thinks, before and during the answer, and stop with it', async () => {
    const { reply, answer, clock, done: ended } = await begin();
    clock.advance(heartbeatMs - 1);
    expect(reply.started).toBe(false);
    clock.advance(1);
    await settled();
    expect(reply.status).toBe(200);
    expect(reply.text).toMatch(/^:[^\n]*\n\n$/);
    answer.write(chunk({ content: 'x' }));
    await settled();
    const before = reply.text;
    clock.advance(heartbeatMs);
    await settled();
    expect(reply.text.slice(before.length)).toMatch(/^:[^\n]*\n\n$/);
    answer.write(done).end();
    await ended;
    expect(clock.pending).toBe(0);
    clock.advance(10 * heartbeatMs);
    expect(reply.text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test('turn a failure after them into an event', async () => {
    const { reply, answer, clock, done: ended } = await begin();
    clock.advance(heartbeatMs);
    answer.end(broken);
    await ended;
    expect(reply.status).toBe(200);
    expect(reply.text).toMatch(/"error"/);
  });

  test('are not the first byte: that is the first of the answer', async () => {
    const { answer, clock, done: ended, settlements } = await begin();
    clock.advance(heartbeatMs);
    await settled();
    clock.advance(100);
    answer.write(chunk({ content: 'x' }), done).end();
    await ended;
    expect(settlements[0]?.firstByteMs).toBe(heartbeatMs + 100);
  });

  test('never go between the parts of a piece that a slow caller has not taken', async () => {
    const { reply, answer, clock, done: ended } = await begin();
    reply.stall();
    answer.write(chunk({ content: 'x' }));
    await settled();
    const held = reply.text;
    clock.advance(5 * heartbeatMs);
    await settled();
    expect(reply.text).toBe(held);
    reply.resume();
    await settled();
    clock.advance(heartbeatMs);
    await settled();
    expect(reply.text.slice(held.length)).toMatch(/^:[^\n]*\n\n$/);
    answer.write(done).end();
    await ended;
    expect(clock.pending).toBe(0);
  });
});

describe('a caller who reads slowly', () => {
  test('makes the upstream wait: no further piece is taken', async () => {
    const { reply, answer, done: ended } = await begin();
    reply.stall();
    answer.write(...Array.from({ length: 50 }, () => chunk({ content: 'x' })), done).end();
    await settled();
    expect(answer.taken).toBe(1);
    reply.resume();
    await ended;
    expect(answer.taken).toBe(51);
    expect(reply.end).toBe('clean');
  });

  test('and is given up has an answer that is cut, paid up to there', async () => {
    const { reply, answer, done: ended, settlements, clock } = await begin();
    reply.stall();
    answer.write(chunk({ content: 'twelve chars' }), chunk({ content: 'never taken' }));
    await settled();
    reply.resume(false);
    await settled();
    expect(reply.end).toBe('cut');
    expect(answer.isCancelled).toBe(true);
    // The listener ends the request once its connection is closed; the fake does that on destroy.
    await Promise.race([ended, settled()]);
    expect(settlements).toMatchObject([{ outcome: 'aborted', usage: { output: 4 } }]);
    expect(clock.pending).toBe(0);
  });
});

describe('a whole answer', () => {
  test('that is cut or is no JSON object is a status', async () => {
    for (const [text, failure] of [
      ['{"choices"', broken],
      ['{"choices"', undefined],
      ['[]', undefined],
      ['', undefined],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one answer after the other
      const { reply, answer, done: ended } = await begin({ stream: false });
      answer.write(text).end(failure);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await ended;
      expect(reply.status).toBe(502);
    }
  });

  test('that is larger than the limit is a status', async () => {
    const { reply, answer, done: ended } = await begin({ stream: false });
    answer.write('x'.repeat(gatewayLimits.answerBytesMax + 1)).end();
    await ended;
    expect(reply.status).toBe(502);
  });

  test('goes out byte for byte where the formats are the same', async () => {
    const { reply, answer, done: ended } = await begin({ stream: false });
    const text = '{ "choices":[], "x": 1.0,"usage":{"prompt_tokens":1,"completion_tokens":1} }';
    answer.write(text).end();
    await ended;
    expect(reply.text).toBe(text);
  });
});

test('a streamed /ask reports the time at its end and not at its begin', async () => {
  const { reply, answer, clock, done: ended } = await begin({ path: '/ask' });
  answer.write(chunk({ content: 'x' }));
  await settled();
  clock.advance(1_234);
  answer.write(done).end();
  await ended;
  expect(reply.text).toContain('"latency_ms":1234');
});
