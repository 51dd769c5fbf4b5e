/** Callers who stop reading, and defects in the middle of an answer, on real sockets: bounded, cut, and settled. */
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createFakeGateway } from '../fakes/gateway.ts';
import { createFakeProvider, FakeAnswer } from '../fakes/provider.ts';
import { dataFrames } from '../fakes/scripted-upstream.ts';
import { waitFor } from './gateway.ts';
import { chatChunk } from './gateway-fixture.ts';
import { open, post } from './http-fixture.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function setUp() {
  const provider = createFakeProvider({ id: 'p' });
  const gateway = await createFakeGateway({ providers: [provider] });
  const faults: unknown[] = [];
  const listener = await open({
    handler: gateway.handler,
    limits: { stalledReaderMs: 150 },
    onFault: (fault) => faults.push(fault),
  });
  const ask = (): Socket => {
    const socket = connect(listener.port ?? 0, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    const body = JSON.stringify({
      model: 'p/up',
      stream: true,
      messages: [{ role: 'user', content: 'hi' }],
    });
    socket.write(post('/v1/chat/completions', body));
    return socket;
  };
  return { provider, gateway, faults, ask };
}

const piece = dataFrames(chatChunk({ content: 'x'.repeat(60_000) }));

test('eight callers who stop reading hold little each, are cut in time, and pay for what went out', async () => {
  const { provider, gateway, faults, ask } = await setUp();
  const answers = Array.from({ length: 8 }, () =>
    new FakeAnswer('text/event-stream').write(...Array.from({ length: 300 }, () => piece)),
  );
  provider.expect(...answers);
  for (let index = 0; index < answers.length; index += 1) ask().pause();
  await waitFor(() => (gateway.settlements.length === answers.length ? true : undefined));
  for (const answer of answers) {
    expect(answer.isCancelled).toBe(true);
    // 18 MB were there to take; what sockets of this machine hold is a few.
    expect(answer.taken).toBeLessThan(200);
  }
  for (const settlement of gateway.settlements) {
    expect(settlement).toMatchObject({ outcome: 'aborted', status: 200, estimated: true });
    expect(settlement.usage?.output).toBeGreaterThan(0);
  }
  expect(faults).toEqual([]);
  expect(gateway.faults).toEqual([]);
  expect(gateway.clock.pending).toBe(0);
});

test('a defect in the middle of a stream cuts it: no caller takes it for whole', async () => {
  const { provider, gateway, ask } = await setUp();
  const answer = new FakeAnswer('text/event-stream').write(
    dataFrames(chatChunk({ content: 'Hi' })),
  );
  answer.failure = () => {
    throw new Error('bug');
  };
  provider.expect(answer);
  const socket = ask();
  let text = '';
  socket.setEncoding('latin1').on('data', (bytes: string) => {
    text += bytes;
  });
  await waitFor(() => (text.includes('Hi') ? true : undefined));
  const closed = new Promise((resolve) => {
    socket.once('close', resolve);
  });
  answer.end();
  await closed;
  expect(text).not.toContain('[DONE]');
  // The last chunk of HTTP, which says that the body is whole.
  expect(text.endsWith('0\r\n\r\n')).toBe(false);
  expect(gateway.settlements).toMatchObject([{ outcome: 'failed' }]);
  expect(gateway.faults).toHaveLength(1);
});
