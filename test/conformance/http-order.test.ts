/** Requests on one connection: their order, their bodies, their ends. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { bytes, closing, dial, get, open, post } from './http-fixture.ts';

describe('order and ends', () => {
  test('pipelined requests are answered one after the other, in order', async () => {
    let running = 0;
    let most = 0;
    const listener = await open({
      handler: async (request, reply) => {
        running += 1;
        most = Math.max(most, running);
        await sleep(request.path === '/1' ? 30 : 1);
        running -= 1;
        reply.send(200, {}, `<${request.path}>`);
      },
    });
    const client = await dial(listener);
    const { text } = await client.exchange(bytes(get('/1') + get('/2') + get('/3')));
    expect(text.match(/<\/\d>/g)).toEqual(['</1>', '</2>', '</3>']);
    expect(most).toBe(1);
  });

  test('what follows a refused request reaches no handler', async () => {
    const seen: string[] = [];
    const listener = await open({
      handler: async (request, reply) => {
        seen.push(request.path);
        reply.send(200, {}, request.path);
      },
    });
    const client = await dial(listener);
    const { text, state } = await client.exchange(bytes(get('/1') + get('//2') + get('/3')));
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']);
    expect(state).toBe('closed');
    expect(seen).toEqual(['/1']);
  });

  test('what follows the last answer of a connection reaches no handler', async () => {
    const seen: string[] = [];
    const listener = await open({
      limits: { requestsPerConnectionMax: 2 },
      handler: async (request, reply) => {
        seen.push(request.path);
        reply.send(200, {}, request.path);
      },
    });
    // It goes on sending when the other side has ended.
    const client = connect({ port: listener.port ?? 0, host: '127.0.0.1', allowHalfOpen: true });
    closing.push(async () => void client.destroy());
    let text = '';
    client.on('data', (piece: Buffer) => (text += piece.toString())).on('error', () => undefined);
    for (const path of ['/1', '/2', '/3']) {
      client.write(get(path));
      await sleep(50);
    }
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
    expect(seen).toEqual(['/1', '/2']);
  });

  test('too many pipelined requests cut the connection', async () => {
    const listener = await open({
      limits: { pipelinedMax: 2 },
      handler: async (_request, reply) => {
        await sleep(50);
        reply.send(200, {}, '');
      },
    });
    const client = await dial(listener);
    expect((await client.exchange(bytes(get('/').repeat(8)))).state).toBe('closed');
  });

  test('a malformed body is refused before or while its handler runs, and has no other effect', async () => {
    const bodies: unknown[] = [];
    const listener = await open({
      handler: async (request, reply) => {
        bodies.push(await request.readBody(100));
        reply.send(200, {}, 'never');
      },
    });
    const head = 'POST / HTTP/1.1\r\nHost: ai\r\nTransfer-Encoding: chunked\r\n\r\n';
    const whole = await dial(listener);
    const first = await whole.exchange(bytes(`${head}5\r\nhello\r\nX\r\n`));
    expect(first.text).toMatch(/^HTTP\/1.1 400 .*malformed_http/s);
    const parts = await dial(listener);
    parts.write(bytes(`${head}5\r\nhello\r\n`));
    await sleep(50);
    const second = await parts.exchange(bytes('X\r\n'));
    expect(second.text).toMatch(/^HTTP\/1.1 400 .*malformed_http/s);
    await expect.poll(() => bodies.length, { timeout: 3_000 }).toBe(1);
    expect(bodies).toMatchObject([{ ok: false, error: { code: 'malformed_http' } }]);
  });

  test('a refusal survives the bytes that its sender had still to send', async () => {
    const listener = await open({ limits: { lingerMs: 300 } });
    const client = await dial(listener);
    const big = 'x'.repeat(3_000_000);
    const { text } = await client.exchange(bytes(post('/', big)));
    expect(text).toMatch(/^HTTP\/1.1 413 /);
    expect(text.toLowerCase()).toContain('connection: close');
  });

  test('Expect: 100-continue is answered when the body is wanted, and not before', async () => {
    let wanted = false;
    const listener = await open({
      handler: async (request, reply) => {
        await sleep(80);
        wanted = true;
        const body = await request.readBody(100);
        reply.send(200, {}, body.ok ? body.value : '');
      },
    });
    const client = await dial(listener);
    const head = 'POST / HTTP/1.1\r\nHost: ai\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n';
    const interim = await client.exchange(bytes(head));
    expect(wanted).toBe(true);
    expect(interim.text).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    expect((await client.exchange(bytes('hi'))).text).toMatch(/^HTTP\/1.1 200 [^]*hi$/);
  });

  test('a handler that throws, says nothing or stops half-way is a fault with an id', async () => {
    const faults: string[] = [];
    const listener = await open({
      onFault: (_cause, id) => faults.push(id),
      handler: async (request, reply) => {
        if (request.path === '/throw') throw new Error('secret text');
        if (request.path === '/header') reply.send(200, { 'x-bad': 'a\r\nb: c' }, 'x');
        if (request.path === '/half') reply.start(200, {});
      },
    });
    for (const path of ['/throw', '/nothing', '/header']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { text } = await (await dial(listener)).exchange(bytes(get(path)));
      expect(text).toMatch(/^HTTP\/1.1 500 /);
      expect(text).not.toContain('secret');
      expect(text).toContain(faults.at(-1) ?? 'no fault');
    }
    // Whichever reader took the request, no line of the answer's head is there twice.
    const chunked =
      'POST /throw HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    for (const request of [
      get('/throw'),
      post('/throw', 'x'),
      chunked,
      'GET /throw HTTP/1.1\r\n\r\n',
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { text } = await (await dial(listener)).exchange(bytes(request));
      const names = [...text.matchAll(/^([\w-]+): /gm)].map(([, name = '']) => name.toLowerCase());
      expect(names.toSorted(), request).toEqual([...new Set(names)].toSorted());
      expect(names).toEqual(expect.arrayContaining(['content-length', 'x-request-id']));
    }
    const half = await (await dial(listener)).exchange(bytes(get('/half')));
    expect(half.text).not.toContain('\r\n0\r\n\r\n');
    expect(half.state).toBe('closed');
    expect(faults).toHaveLength(7);
  });

  test('a cut stream never looks complete', async () => {
    const listener = await open({
      handler: async (_request, reply) => {
        const stream = reply.start(200, { 'content-type': 'text/event-stream' });
        await stream.write(bytes('data: 1\n\n'));
        await sleep(20);
        stream.destroy();
      },
    });
    const { text, state } = await (await dial(listener)).exchange(bytes(get('/')));
    expect(text).toContain('data: 1');
    expect(text).not.toContain('\r\n0\r\n\r\n');
    expect(state).toBe('closed');
  });

  test('closing answers what is open, takes nothing new and cuts after the grace', async () => {
    let begun = 0;
    const listener = await open({
      handler: async (request, reply) => {
        begun += 1;
        await sleep(request.path === '/slow' ? 100 : 5_000, undefined, { ref: false });
        reply.send(200, {}, 'done');
      },
    });
    const idle = await dial(listener);
    const slow = await dial(listener);
    const stuck = await dial(listener);
    const answered = slow.exchange(bytes(get('/slow')));
    const cut = stuck.exchange(bytes(get('/stuck')));
    await expect.poll(() => begun, { interval: 5 }).toBe(2);
    const started = Date.now();
    await listener.close(300);
    expect(Date.now() - started).toBeLessThan(1_000);
    const { text } = await answered;
    expect(text).toMatch(/^HTTP\/1.1 200 /);
    expect(text.toLowerCase()).toContain('connection: close');
    expect(await cut).toEqual({ text: '', state: 'closed' });
    expect((await idle.exchange(bytes(get('/')))).state).toBe('closed');
    await expect(dial(listener)).rejects.toThrow('ECONNREFUSED');
    expect(listener.connections).toBe(0);
  });

  test('OPTIONS * is answered by the listener, HEAD has a length and no body', async () => {
    const listener = await open();
    const star = await (await dial(listener)).exchange(
      bytes('OPTIONS * HTTP/1.1\r\nHost: ai\r\n\r\n'),
    );
    expect(star.text).toMatch(/^HTTP\/1.1 204 [^]*allow: GET/);
    const head = await (await dial(listener)).exchange(
      bytes('HEAD /x HTTP/1.1\r\nHost: ai\r\n\r\n'),
    );
    expect(head.text).toMatch(/content-length: 3/i);
    expect(head.text).toMatch(/\r\n\r\n$/);
  });
});

describe('bodies', () => {
  test('are bounded by declaration and by count', async () => {
    const listener = await open();
    const declared = await (await dial(listener)).exchange(
      bytes('POST / HTTP/1.1\r\nHost: ai\r\nContent-Length: 1001\r\n\r\n'),
    );
    expect(declared.text).toMatch(/^HTTP\/1.1 413 /);
    const chunk = `3e9\r\n${'x'.repeat(1_001)}\r\n`;
    const counted = await (await dial(listener)).exchange(
      bytes(`POST / HTTP/1.1\r\nHost: ai\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`),
    );
    expect(counted.text).toMatch(/^HTTP\/1.1 413 /);
    const exact = await (await dial(listener)).exchange(bytes(post('/', 'x'.repeat(1_000))));
    expect(exact.text).toMatch(/^HTTP\/1.1 200 /);
  });

  test('a compressed one is refused without reading it', async () => {
    const codes: string[] = [];
    const listener = await open({
      handler: async (request, reply) => {
        const body = await request.readBody(100);
        codes.push(body.ok ? 'ok' : body.error.code);
        reply.send(200, {}, '');
      },
    });
    for (const encoding of ['gzip', 'br', 'deflate, gzip', 'IDENTITY', 'x']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await (await dial(listener)).exchange(
        bytes(post('/', 'hi', `Content-Encoding: ${encoding}\r\n`)),
      );
    }
    expect(codes).toEqual([
      'unsupported_encoding',
      'unsupported_encoding',
      'unsupported_encoding',
      'ok',
      'unsupported_encoding',
    ]);
  });

  test('one that pauses or takes for ever is refused, one that keeps coming is not', async () => {
    const listener = await open({ limits: { bodyPauseMsMax: 400, bodyMsMax: 1_200 } });
    const head = 'POST / HTTP/1.1\r\nHost: ai\r\nContent-Length: 100\r\n\r\n';
    const paused = await (await dial(listener)).exchange(bytes(`${head}abc`));
    expect(paused.text).toMatch(/^HTTP\/1.1 408 /);

    const dripping = await dial(listener);
    const answer = dripping.exchange(bytes(head));
    for (let round = 0; round < 8; round += 1) {
      dripping.write(bytes('x'));
      // oxlint-disable-next-line no-await-in-loop -- a slow sender
      await sleep(180);
    }
    expect((await answer).text).toMatch(/^HTTP\/1.1 408 /);

    const steady = await dial(listener);
    const good = steady.exchange(bytes(head));
    for (let round = 0; round < 4; round += 1) {
      steady.write(bytes('x'.repeat(25)));
      // oxlint-disable-next-line no-await-in-loop -- a steady sender
      await sleep(180);
    }
    expect((await good).text).toMatch(/^HTTP\/1.1 200 /);
  });
});

describe('other protocols', () => {
  test('a listener that upgrades hands over the socket with the bytes behind the request', async () => {
    const listener = await open({
      kind: 'coordination',
      upgrade: (request, socket, head) => {
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`,
        );
        socket.end(
          `${request.method} ${request.path} ${request.headers.has('x-user')} ${Buffer.from(head).toString()}`,
        );
      },
    });
    const head =
      'POST /ts HTTP/1.1\r\nHost: ai\r\nX-User: me\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n';
    const { text } = await (await dial(listener)).exchange(bytes(`${head}early`));
    expect(text).toMatch(/^HTTP\/1.1 101 [^]*POST \/ts false early$/);
  });

  test('its requests are judged like all others', async () => {
    let upgraded = 0;
    const listener = await open({ hosts: ['ai'], upgrade: () => (upgraded += 1) });
    for (const line of ['Host: evil', 'Host: ai\r\nOrigin: null', 'Host: ai\r\nHost: ai']) {
      const head = `GET / HTTP/1.1\r\n${line}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { text, state } = await (await dial(listener)).exchange(bytes(head));
      expect(text).toMatch(/^HTTP\/1.1 40[03] /);
      expect(state).toBe('closed');
    }
    expect(upgraded).toBe(0);
  });

  test('CONNECT opens no tunnel', async () => {
    const listener = await open();
    const { text, state } = await (await dial(listener)).exchange(
      bytes('CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n'),
    );
    expect(text).toMatch(/^HTTP\/1.1 405 [^]*allow: GET/);
    expect(state).toBe('closed');
  });
});
