/** Defects that other gateways are known for, each held against this one. */
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  dataFrames,
  type ScriptedUpstream,
  sse,
  startScriptedUpstream,
  typedFrames,
} from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway, waitFor } from './gateway.ts';
import {
  call,
  chatChunk,
  cleanEnd,
  errorIn,
  messageStart,
  openCall,
  routes,
  textBlock,
  textDelta,
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
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['up'] },
      },
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  key = await gateway.key('peers');
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const outs = ['oai', 'ant'] as const;
const firstPart = {
  oai: dataFrames(chatChunk({ role: 'assistant', content: 'Hello' })),
  ant: typedFrames(messageStart, textBlock, textDelta('Hello')),
};

function open(out: (typeof outs)[number]) {
  const { path, body } = routes['openai-chat'];
  const opened = openCall(gateway, { path, key, body: body(`${out}/up`, true) });
  opened.request.on('error', () => undefined);
  return opened;
}

function firstData(message: IncomingMessage): Promise<number> {
  return new Promise((resolve) => {
    message.once('data', () => resolve(performance.now()));
  });
}

// Portkey's readStream waits 25 ms before it passes the first part of any stream on.
test.each(outs)('the first part of a stream from %s is passed on when it comes', async (out) => {
  const delays: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = upstream.received.length;
    upstream.expect({
      headers: sse,
      pieces: [{ wait: promise }, firstPart[out], { wait: new Promise(() => undefined) }],
    });
    const { request, response } = open(out);
    const seen = response.then(firstData);
    // oxlint-disable-next-line no-await-in-loop -- one stream after the other
    await waitFor(() => upstream.received[before]);
    const writtenAt = performance.now();
    resolve();
    // oxlint-disable-next-line no-await-in-loop -- as above
    delays.push((await seen) - writtenAt);
    request.destroy();
  }
  // The best of twenty: a busy machine may delay some, a timer in the way would delay all.
  expect(Math.min(...delays)).toBeLessThan(15);
});

// Portkey goes on reading, and paying for, an answer that nobody waits for.
test.each(outs)('an upstream of %s is let go when the caller leaves', async (out) => {
  const before = upstream.received.length;
  upstream.expect({
    headers: sse,
    pieces: [firstPart[out], { wait: new Promise(() => undefined) }],
  });
  const { request, response } = open(out);
  await firstData(await response);
  const leftAt = performance.now();
  request.destroy();
  await (await waitFor(() => upstream.received[before])).aborted;
  expect(performance.now() - leftAt).toBeLessThan(1_000);
});

// Portkey logs a failure in the middle of a stream and then closes the stream as if it were whole.
test.each(outs)(
  'a stream from %s that breaks off does not end as if it were whole',
  async (out) => {
    upstream.expect({ headers: sse, pieces: [firstPart[out], { cut: true }] });
    const { path, body } = routes['openai-chat'];
    const answer = await call(gateway, { path, key, body: body(`${out}/up`, true) });
    expect(answer.text).toContain('Hello');
    expect(answer.text).not.toMatch(cleanEnd['openai-chat']);
    expect(answer.text).not.toContain('"finish_reason":"stop"');
    expect(errorIn('openai-chat', answer.text)).toMatchObject({ code: 'upstream_error' });
  },
);

// Portkey turns an exception in the middle of a stream into a normal stop.
test('an error event in the middle of a stream is an error and not a stop', async () => {
  upstream.expect({
    headers: sse,
    pieces: [
      firstPart.ant,
      typedFrames({
        type: 'error',
        error: { type: 'overloaded_error', message: 'Overloaded' },
      }),
    ],
  });
  const { path, body } = routes['openai-chat'];
  const answer = await call(gateway, { path, key, body: body('ant/up', true) });
  expect(answer.text).not.toMatch(cleanEnd['openai-chat']);
  expect(answer.text).not.toContain('"finish_reason":"stop"');
  expect(errorIn('openai-chat', answer.text)).toMatchObject({ code: 'upstream_overloaded' });
});
