/** Connections that cost more than they bring, and clients that leave. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { abortSignalOf } from '@postern/server/http';
import { makeCertificate } from '../harness/http-framing/certificate.ts';
import { type Door, RawClient } from '../harness/http-framing/client.ts';
import { bytes, dial, get, loopback, open, post } from './http-fixture.ts';

describe('connections that hold a place for nothing', () => {
  test('a silent one, a slow head and an idle one are closed', async () => {
    const listener = await open({
      limits: { firstByteMs: 100, headMs: 200, keepAliveMs: 150, checkMs: 50 },
    });
    const silent = await dial(listener);
    expect(await silent.exchange(bytes(''))).toEqual({ text: '', state: 'closed' });

    const slow = await dial(listener);
    const { text, state } = await slow.exchange(bytes('GET / HTTP/1.1\r\nHost: ai\r\nX-Slow: '));
    expect(text).toMatch(/^HTTP\/1.1 408 .*request_timeout/s);
    expect(state).toBe('closed');

    const idle = await dial(listener);
    expect((await idle.exchange(bytes(get('/')))).text).toMatch(/^HTTP\/1.1 200 /);
    await expect.poll(() => listener.connections, { timeout: 3_000 }).toBe(0);
  });

  test('a TLS client that never finishes its handshake, or finishes and stays silent, is closed', async () => {
    const certificate = makeCertificate({ name: 'localhost', subjects: ['localhost'] });
    const listener = await open({
      bind: {
        ...loopback,
        kind: 'tls',
        certificatePem: certificate.certificatePem,
        keyPem: certificate.keyPem,
      },
      limits: { handshakeMs: 100, firstByteMs: 100, checkMs: 50 },
    });
    const mute = await dial(listener);
    expect((await mute.exchange(bytes(''))).state).toBe('closed');
    const door: Door = {
      kind: 'tls',
      host: '127.0.0.1',
      port: listener.port ?? 0,
      caPem: certificate.certificatePem,
    };
    const silent = await RawClient.open(door);
    expect((await silent.exchange(bytes(''))).state).toBe('closed');
    await expect.poll(() => listener.connections).toBe(0);
  });

  test('connections beyond the limit hear that we are full, and places are given back', async () => {
    const listener = await open({ limits: { connectionsMax: 3, connectionsPerSourceMax: 1 } });
    const three = await Promise.all([dial(listener), dial(listener), dial(listener)]);
    await expect.poll(() => listener.connections).toBe(3);
    const fourth = await dial(listener);
    expect((await fourth.exchange(bytes(''))).text).toMatch(/^HTTP\/1.1 503 .*overloaded/s);
    for (const client of three) client.close();
    await expect.poll(() => listener.connections).toBe(0);
    expect((await (await dial(listener)).exchange(bytes(get('/')))).text).toMatch(
      /^HTTP\/1.1 200 /,
    );
  });

  test('a connection serves so many requests and says so with the last', async () => {
    const listener = await open({ limits: { requestsPerConnectionMax: 2 } });
    const client = await dial(listener);
    const first = await client.exchange(bytes(get('/')));
    expect(first.text.toLowerCase()).toContain('connection: keep-alive');
    const second = await client.exchange(bytes(get('/')));
    expect(second.text.toLowerCase()).toContain('connection: close');
    expect(second.state).toBe('closed');
  });

  test('behind a balancer any other peer is closed before a byte is read', async () => {
    const listener = await open({ onlyTrustedProxies: true, trustedProxies: ['192.0.2.0/24'] });
    const client = await dial(listener);
    expect(await client.exchange(bytes(get('/')))).toEqual({ text: '', state: 'closed' });
  });

  test('a reader that takes nothing ends its stream within the limits', async () => {
    let outcome: string | undefined;
    const listener = await open({
      limits: { stalledReaderMs: 150, writeBufferBytesMax: 65_536 },
      handler: async (request, reply) => {
        const stream = reply.start(200, {});
        const piece = Buffer.alloc(65_536);
        let written = 0;
        while (await stream.write(piece)) written += piece.length;
        await sleep(10);
        outcome = `${request.signal.aborted} ${written < 100_000_000}`;
      },
    });
    const client = await dial(listener);
    client.pause();
    client.write(bytes(get('/')));
    await expect.poll(() => outcome, { timeout: 5_000 }).toBe('true true');
  });

  test('a writer that does not wait is cut at the buffer limit', async () => {
    let dead = false;
    const listener = await open({
      limits: { writeBufferBytesMax: 262_144 },
      handler: async (_request, reply) => {
        const stream = reply.start(200, {});
        const writes = Array.from({ length: 400 }, () => stream.write(Buffer.alloc(65_536)));
        dead = (await Promise.all(writes.map((written) => Promise.resolve(written)))).includes(
          false,
        );
      },
    });
    const client = await dial(listener);
    client.pause();
    client.write(bytes(get('/')));
    await expect.poll(() => dead, { timeout: 5_000 }).toBe(true);
  });
});

describe('a client that goes away', () => {
  type Window = 'before the body' | 'in the body' | 'while waiting' | 'in the stream';
  const windows: readonly Window[] = [
    'before the body',
    'in the body',
    'while waiting',
    'in the stream',
  ];

  async function watch(window: Window, leave: (client: RawClient) => void): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const begun = Promise.withResolvers<void>();
    const listener = await open({
      handler: async (request, reply) => {
        request.signal.addEventListener('abort', () => resolve('aborted'));
        begun.resolve();
        if (window === 'before the body')
          await sleep(3_000, undefined, { signal: abortSignalOf(request.signal) }).catch(
            () => undefined,
          );
        const body = await request.readBody(1_000);
        if (!body.ok) {
          reply.send(400, {}, '');
          return;
        }
        if (window === 'while waiting')
          await sleep(3_000, undefined, { signal: abortSignalOf(request.signal) }).catch(
            () => undefined,
          );
        if (window !== 'in the stream') {
          reply.send(200, {}, '');
          return;
        }
        const stream = reply.start(200, {});
        while (await stream.write(bytes('data\n'))) await sleep(10);
      },
    });
    const client = await dial(listener);
    const half = window === 'in the body' || window === 'before the body';
    client.write(bytes(half ? post('/', 'x'.repeat(10)).slice(0, -5) : post('/', 'hi')));
    await begun.promise;
    await sleep(60);
    leave(client);
    return await Promise.race([promise, sleep(2_000).then(() => 'nothing')]);
  }

  test.each(windows)('%s: a reset aborts the request', async (window) => {
    expect(await watch(window, (client) => client.reset())).toBe('aborted');
  });

  test.each(windows)('%s: an end aborts the request', async (window) => {
    expect(await watch(window, (client) => client.close())).toBe('aborted');
  });

  test('a finished request is not aborted afterwards', async () => {
    let aborted = false;
    const listener = await open({
      handler: async (request, reply) => {
        request.signal.addEventListener('abort', () => {
          aborted = true;
        });
        reply.send(200, {}, 'x');
      },
    });
    const client = await dial(listener);
    await client.exchange(bytes(get('/')));
    client.close();
    await sleep(50);
    expect(aborted).toBe(false);
  });
});

test('a body whose sender left before it was read is no empty body', async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const begun = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const listener = await open({
    handler: async (request, reply) => {
      request.signal.addEventListener('abort', () => gone.resolve());
      begun.resolve();
      await gone.promise;
      resolve(await request.readBody(100));
      reply.send(200, {}, '');
    },
  });
  const client = await dial(listener);
  client.write(bytes(post('/', 'hi')));
  await begun.promise;
  client.reset();
  expect(await promise).toMatchObject({ ok: false, error: { code: 'malformed_http' } });
});
