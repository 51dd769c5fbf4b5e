import { connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { assert, ok } from '@postern/core/base';
import { Leaving } from '../../http/index.ts';
import { Deadlines } from './deadlines.ts';
import { Exchange } from './exchange.ts';
import { socketEgressLimits } from './limits.ts';
import { Pool } from './pool.ts';
import type { Wire } from './wire.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A kept connection to a server that counts what it is told. */
async function kept(): Promise<{ wire: Wire; pool: Pool; heard: () => string }> {
  let heard = '';
  const server = createServer((socket) => {
    socket.on('error', () => undefined).on('data', (bytes: Buffer) => (heard += bytes.toString()));
  });
  closing.push(() => void server.close());
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  assert(typeof address === 'object' && address !== null, 'it listens');
  const dial = async (): Promise<ReturnType<typeof ok<Socket>>> =>
    await new Promise((resolve) => {
      const socket = connect(address.port, '127.0.0.1', () => resolve(ok(socket)));
    });
  const pool = new Pool({ dial }, socketEgressLimits);
  closing.push(() => pool.close());
  const dialed = await pool.dial(new Leaving());
  assert(dialed.ok, 'it is there');
  dialed.value.rest();
  return { wire: dialed.value, pool, heard: () => heard };
}

function begun(pool: Pool, wire: Wire): Exchange {
  const exchange = new Exchange(
    pool,
    {
      limits: socketEgressLimits,
      deadlines: new Deadlines(socketEgressLimits.sweepMs),
      pace: { putsOff: () => false },
    },
    {
      signal: new Leaving(),
      timeouts: { connectMs: 1_000, firstByteMs: 1_000, idleMs: 1_000, totalMs: 2_000 },
      nowMs: performance.now(),
    },
  );
  const start = 'POST / HTTP/1.1\r\n';
  const head = {
    begun: { text: start, upToLength: Buffer.from(`${start}content-length: `) },
    bodyBytes: 2,
  };
  exchange.begin(wire, { head, body: '{}', isAscii: true }, performance.now());
  return exchange;
}

const untilSaid = async (): Promise<void> =>
  await new Promise((resolve) => {
    setTimeout(resolve, 30);
  });

test('a request goes out once, at the end of its turn', async () => {
  const { wire, pool, heard } = await kept();
  const exchange = begun(pool, wire);
  expect(wire.socket.bytesWritten).toBe(0);
  await untilSaid();
  exchange.say();
  await untilSaid();
  expect(heard()).toBe('POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}');
  exchange.cancel();
});

test('what comes before the request went out answers nothing: it never goes out there, and may elsewhere', async () => {
  const { wire, pool, heard } = await kept();
  const exchange = begun(pool, wire);
  exchange.onBytes(Buffer.from('HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n'), false);
  const started = await exchange.started;
  expect(started.ok ? undefined : started.error.detail).toEqual({
    stage: 'first-byte',
    reused: true,
    cause: 'ECONNRESET',
  });
  await untilSaid();
  expect([heard(), wire.isOpen, pool.open]).toEqual(['', false, 0]);
});

test('a call that is cancelled in its turn is never sent', async () => {
  const { wire, pool, heard } = await kept();
  begun(pool, wire).cancel();
  await untilSaid();
  expect([heard(), pool.open]).toEqual(['', 0]);
});
