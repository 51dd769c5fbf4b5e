/** Upstreams that lie, stall, flood and break off: what the caller is told, and what becomes of the socket. */
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  bodyOutcome,
  type Counted,
  exits,
  listen,
  outcome,
  requestTo,
  timeouts,
  upstream,
} from './egress-fixture.ts';

const ok = 'HTTP/1.1 200 OK\r\n';
const fine = `${ok}content-length: 2\r\n\r\nok`;
const urlOf = (server: Counted, path = '/'): string => `http://127.0.0.1:${server.port}${path}`;

/** What is sent, whether the upstream then ends, and what the caller learns. */
type Lie = readonly [name: string, text: string, then: 'end' | 'stay' | 'reset', expected: string];

const lies: readonly Lie[] = [
  ['nothing at all', '', 'end', 'upstream_error'],
  ['a reset', '', 'reset', 'upstream_error'],
  ['half a status line', 'HTTP/1.1 2', 'end', 'upstream_error'],
  ['half a head', `${ok}content-le`, 'end', 'upstream_error'],
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'end', 'upstream_error'],
  ['HTTP/0.9', '<html>hi</html>', 'end', 'upstream_error'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'end', 'upstream_error'],
  [
    'a status of two digits',
    'HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n',
    'end',
    'upstream_error',
  ],
  ['a status of letters', 'HTTP/1.1 abc OK\r\ncontent-length: 0\r\n\r\n', 'end', 'upstream_error'],
  ['a body shorter than declared', `${ok}content-length: 10\r\n\r\nhello`, 'end', 'upstream_error'],
  ['a body cut by a reset', `${ok}content-length: 10\r\n\r\nhello`, 'reset', 'upstream_error'],
  [
    'chunks without an end',
    `${ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    'end',
    'upstream_error',
  ],
  ['half a chunk', `${ok}transfer-encoding: chunked\r\n\r\n5\r\nhe`, 'end', 'upstream_error'],
  [
    'a chunk size of words',
    `${ok}transfer-encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n`,
    'stay',
    'upstream_error',
  ],
  [
    'a chunk longer than declared',
    `${ok}transfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n`,
    'stay',
    'upstream_error',
  ],
  [
    'two lengths',
    `${ok}content-length: 2\r\ncontent-length: 5\r\n\r\nok`,
    'stay',
    'upstream_error',
  ],
  ['a negative length', `${ok}content-length: -2\r\n\r\nok`, 'stay', 'upstream_error'],
  [
    'length and chunks',
    `${ok}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    'stay',
    'upstream_error',
  ],
  [
    'a header without a colon',
    `${ok}broken\r\ncontent-length: 2\r\n\r\nok`,
    'stay',
    'upstream_error',
  ],
  ['a header with a NUL', `${ok}x: a\0b\r\ncontent-length: 2\r\n\r\nok`, 'stay', 'upstream_error'],
  ['a folded header', `${ok}x: a\r\n b\r\ncontent-length: 2\r\n\r\nok`, 'stay', 'upstream_error'],
  [
    'a head larger than the limit',
    `${ok}x: ${'a'.repeat(40_000)}\r\n\r\n`,
    'stay',
    'upstream_error',
  ],
  [
    'more headers than the limit',
    `${ok}${'x: a\r\n'.repeat(300)}content-length: 2\r\n\r\nok`,
    'stay',
    'upstream_error',
  ],
  [
    'interim answers without end',
    'HTTP/1.1 103 Early\r\n\r\n'.repeat(50),
    'stay',
    'upstream_error',
  ],
  [
    'another protocol',
    'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    'stay',
    'upstream_error',
  ],
  [
    'a compressed body',
    `${ok}content-encoding: gzip\r\ncontent-length: 2\r\n\r\nok`,
    'stay',
    'upstream_error',
  ],
  ['silence', '', 'stay', 'upstream_timeout'],
  ['silence after a head', `${ok}content-length: 2\r\n\r\n`, 'stay', 'upstream_timeout'],
  ['silence in a body', `${ok}content-length: 2\r\n\r\no`, 'stay', 'upstream_timeout'],
];

describe('a lying upstream', () => {
  const quick = { connectMs: 500, firstByteMs: 150, idleMs: 150, totalMs: 1_000 };

  test.each(lies)('%s', async (_name, text, then, expected) => {
    const server = await upstream((socket) => {
      socket.write(text, 'latin1', () => {
        if (then === 'end') socket.end();
        if (then === 'reset') socket.resetAndDestroy();
      });
    });
    const handle = exits();
    const request = requestTo(urlOf(server), { timeouts: quick });
    expect(await outcome(handle, request)).toBe(expected);
    await expect.poll(() => server.sockets.size, { interval: 5 }).toBe(0);
    expect(handle.connections).toBe(0);
    expect(server.connections).toBe(1);
  });

  test('there are at least twenty of them', () => {
    expect(lies.length).toBeGreaterThanOrEqual(20);
  });
});

describe('an honest but unusual upstream', () => {
  test.each([
    ['ends its body by closing', `${ok}\r\nhello`, true, '200 hello'],
    ['speaks HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nhello', true, '200 hello'],
    ['sends early hints', `HTTP/1.1 103 Early\r\nlink: x\r\n\r\n${fine}`, false, '200 ok'],
    [
      'sends chunks with extensions and trailers',
      `${ok}transfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nx-t: 1\r\n\r\n`,
      false,
      '200 ok',
    ],
    [
      'says that nothing is encoded',
      `${ok}content-encoding: identity\r\ncontent-length: 2\r\n\r\nok`,
      false,
      '200 ok',
    ],
    ['answers 204', 'HTTP/1.1 204 No Content\r\n\r\n', false, '204 '],
    ['answers 599', 'HTTP/1.1 599 X\r\ncontent-length: 2\r\n\r\nok', false, '599 ok'],
  ])('%s', async (_name, text, ends, expected) => {
    const server = await upstream((socket) => {
      if (ends) socket.end(text);
      else socket.write(text);
    });
    expect(await outcome(exits(), requestTo(urlOf(server)))).toBe(expected);
  });

  test('its headers come in lower case, joined, without those of the connection', async () => {
    const server = await upstream((socket) => {
      socket.write(
        `${ok}X-A: 1\r\nx-a: 2\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n__proto__: x\r\nContent-Length: 2\r\n\r\nok`,
      );
    });
    const result = await exits().egress(requestTo(urlOf(server)));
    expect(result.ok && Object.entries(result.value.headers)).toEqual([
      ['x-a', '1, 2'],
      ['__proto__', 'x'],
      ['content-length', '2'],
    ]);
  });

  test('what it receives is what was said, and what the connection needs', async () => {
    const server = await upstream((socket) => socket.write(fine));
    const headers = {
      'content-type': 'application/json',
      Connection: 'upgrade',
      'Transfer-Encoding': 'chunked',
      Host: 'evil.example',
      'accept-encoding': 'gzip, br',
      'proxy-authorization': 'x',
    };
    expect(await outcome(exits(), requestTo(urlOf(server, '/a?b=c#d'), { headers }))).toBe(
      '200 ok',
    );
    expect(server.received.toLowerCase().split('\r\n')).toEqual([
      'post /a?b=c http/1.1',
      `host: 127.0.0.1:${server.port}`,
      'connection: keep-alive',
      'accept-encoding: identity',
      'content-type: application/json',
      'content-length: 2',
      '',
      '{}',
    ]);
  });

  test('an answer before the end of the request is an answer, and its socket is not used again', async () => {
    const server = await listen(
      createServer((socket) => {
        socket.once('data', () =>
          socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno'),
        );
        socket.resume();
      }),
    );
    const handle = exits();
    const body = 'x'.repeat(8_000_000);
    expect(await outcome(handle, requestTo(urlOf(server), { body }))).toBe('413 no');
    await expect.poll(() => handle.connections, { timeout: 2_000 }).toBeLessThanOrEqual(1);
  });
});

describe('reuse of connections', () => {
  test('one after the other share a connection; the last used is used first', async () => {
    const server = await upstream((socket, request) => {
      const slow = request.includes('/slow');
      setTimeout(
        () =>
          socket.write(`${ok}content-length: 5\r\n\r\n${String(socket.remotePort).padStart(5)}`),
        slow ? 40 : 0,
      );
    });
    const handle = exits();
    const first = await outcome(handle, requestTo(urlOf(server)));
    await sleep(5);
    expect(await outcome(handle, requestTo(urlOf(server)))).toBe(first);
    expect(server.connections).toBe(1);
    await sleep(5);
    const [slow, quick] = await Promise.all([
      outcome(handle, requestTo(urlOf(server, '/slow'))),
      outcome(handle, requestTo(urlOf(server))),
    ]);
    expect(slow).not.toBe(quick);
    await sleep(5);
    expect(await outcome(handle, requestTo(urlOf(server)))).toBe(slow);
    expect(server.connections).toBe(2);
  });

  test.each([
    ['in the same packet', 0],
    ['a little later', 20],
  ])('a second answer %s poisons nobody', async (_when, delayMs) => {
    const poison = `${ok}content-length: 6\r\n\r\npoison`;
    const server = await upstream((socket, _request, index) => {
      if (index > 1) {
        socket.write(fine);
      } else if (delayMs === 0) {
        socket.write(fine + poison);
      } else {
        socket.write(fine);
        setTimeout(() => socket.write(poison), delayMs);
      }
    });
    const handle = exits();
    expect(await outcome(handle, requestTo(urlOf(server)))).toBe('200 ok');
    await expect.poll(() => handle.connections, { interval: 5 }).toBe(0);
    for (let round = 0; round < 3; round += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other on the same pool
      await sleep(20);
      // oxlint-disable-next-line no-await-in-loop -- one after the other on the same pool
      expect(await outcome(handle, requestTo(urlOf(server)))).toBe('200 ok');
    }
    expect(server.connections).toBe(2);
  });

  test('an upstream that says close gets a new connection', async () => {
    const server = await upstream((socket) =>
      socket.end(`${ok}connection: close\r\ncontent-length: 2\r\n\r\nok`),
    );
    const handle = exits();
    for (let round = 0; round < 3; round += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other on the same pool
      expect(await outcome(handle, requestTo(urlOf(server)))).toBe('200 ok');
    }
    expect(server.connections).toBe(3);
    await expect.poll(() => handle.connections).toBe(0);
  });

  test('a call beyond the limit of connections is told at once, and places come back', async () => {
    const server = await upstream((socket) => setTimeout(() => socket.write(fine), 50));
    const handle = exits({ limits: { connectionsPerOriginMax: 2, idlePerOriginMax: 2 } });
    const calls = Array.from({ length: 4 }, () => outcome(handle, requestTo(urlOf(server))));
    expect((await Promise.all(calls)).toSorted()).toEqual([
      '200 ok',
      '200 ok',
      'overloaded',
      'overloaded',
    ]);
    await sleep(5);
    expect(await outcome(handle, requestTo(urlOf(server)))).toBe('200 ok');
  });

  test('origins that nobody uses are forgotten', async () => {
    const servers = await Promise.all(
      [1, 2, 3].map(() => upstream((socket) => socket.write(fine))),
    );
    const handle = exits({ limits: { originsMax: 1 } });
    for (const server of servers) {
      // oxlint-disable-next-line no-await-in-loop -- in order of use
      expect(await outcome(handle, requestTo(urlOf(server)))).toBe('200 ok');
      await sleep(5);
    }
    await expect.poll(() => handle.connections).toBe(1);
  });
});

describe('a caller that leaves', () => {
  type Window =
    | 'while resolving'
    | 'in the handshake'
    | 'before the answer'
    | 'in the head'
    | 'in the body'
    | 'while full';
  const windows: readonly Window[] = [
    'while resolving',
    'in the handshake',
    'before the answer',
    'in the head',
    'in the body',
    'while full',
  ];

  function behave(window: Window, socket: Socket): void {
    if (window === 'in the head') socket.write('HTTP/1.1 200 OK\r\nx-a');
    if (window === 'in the body') socket.write(`${ok}content-length: 9\r\n\r\nx`);
    if (window === 'while full') {
      socket.write(`${ok}content-length: 90000000\r\n\r\n`);
      socket.write(Buffer.alloc(8_000_000));
    }
  }

  test.each(windows)('%s: the socket closes at once', async (window) => {
    let heard = 0;
    const server = await listen(
      createServer((socket) => {
        socket.once('data', () => {
          heard += 1;
          behave(window, socket);
        });
      }),
    );
    const handle = exits({
      resolve: () =>
        window === 'while resolving' ? sleep(300, ['127.0.0.1']) : Promise.resolve(['127.0.0.1']),
    });
    const leave = new AbortController();
    const scheme = window === 'in the handshake' ? 'https' : 'http';
    const url = `${scheme}://model.example:${server.port}/`;
    const call = handle.egress(requestTo(url, { signal: leave.signal }));
    const connected = window === 'while resolving' ? 0 : 1;
    await expect.poll(() => heard).toBe(connected);
    await sleep(60);
    expect(server.sockets.size).toBe(connected);
    leave.abort();
    await expect.poll(() => server.sockets.size, { timeout: 500, interval: 5 }).toBe(0);
    const result = await call;
    const last = result.ok ? await bodyOutcome(result.value) : result.error.code;
    expect(last).toBe('upstream_unavailable');
    expect(handle.connections).toBe(0);
    await sleep(window === 'while resolving' ? 300 : 0);
    expect(server.connections).toBe(connected);
  });

  test('one that had left before is not called for', async () => {
    const server = await upstream((socket) => socket.write(fine));
    const request = requestTo(urlOf(server), { signal: AbortSignal.abort() });
    expect(await outcome(exits(), request)).toBe('upstream_unavailable');
    expect(server.connections).toBe(0);
  });

  test('one that stops reading half-way, or cancels, closes the socket', async () => {
    const server = await upstream((socket) => socket.write(`${ok}content-length: 9\r\n\r\nx`));
    const handle = exits();
    const broken = await handle.egress(requestTo(urlOf(server)));
    if (broken.ok) for await (const _piece of broken.value.body) break;
    await expect.poll(() => server.sockets.size, { interval: 5 }).toBe(0);
    const cancelled = await handle.egress(requestTo(urlOf(server)));
    if (cancelled.ok) cancelled.value.cancel();
    await expect.poll(() => server.sockets.size, { interval: 5 }).toBe(0);
    expect(cancelled.ok && cancelled.value.failure()?.code).toBe('upstream_unavailable');
    expect(handle.connections).toBe(0);
  });

  test('one that left cannot disturb a call that got its connection afterwards', async () => {
    const server = await upstream((socket) => socket.write(fine));
    const handle = exits();
    const leave = new AbortController();
    expect(await outcome(handle, requestTo(urlOf(server), { signal: leave.signal }))).toBe(
      '200 ok',
    );
    await sleep(5);
    const second = handle.egress(requestTo(urlOf(server)));
    leave.abort();
    const result = await second;
    expect(result.ok && (await bodyOutcome(result.value))).toBe('200 ok');
  });
});

describe('time and room', () => {
  test('a name that does not resolve and a peer that does not shake hands are unreachable in time', async () => {
    const server = await listen(createServer((socket) => void socket.resume()));
    const quick = { ...timeouts, connectMs: 100 };
    const stuck = exits({ resolve: () => new Promise(() => undefined) });
    expect(await outcome(stuck, requestTo('http://slow.example/', { timeouts: quick }))).toBe(
      'upstream_unavailable',
    );
    const mute = requestTo(`https://127.0.0.1:${server.port}/`, { timeouts: quick });
    expect(await outcome(exits(), mute)).toBe('upstream_unavailable');
    await expect.poll(() => server.sockets.size, { interval: 5 }).toBe(0);
  });

  test('a drip keeps an answer alive, but not for ever', async () => {
    const server = await upstream((socket) => {
      socket.write(`${ok}content-length: 1000\r\n\r\n`);
      const drip = setInterval(() => socket.write('x'), 20);
      socket.on('close', () => clearInterval(drip));
    });
    const request = requestTo(urlOf(server), {
      timeouts: { ...timeouts, idleMs: 100, totalMs: 300 },
    });
    const started = Date.now();
    expect(await outcome(exits(), request)).toBe('upstream_timeout');
    expect(Date.now() - started).toBeGreaterThanOrEqual(290);
  });

  test('a slow reader holds the upstream back, and is not blamed on it', async () => {
    let written = 0;
    const server = await upstream((socket) => {
      const piece = Buffer.alloc(65_536, 'x');
      socket.write(`${ok}content-length: 104857600\r\n\r\n`);
      const pump = (): void => {
        while (!socket.destroyed && written < 104_857_600) {
          written += piece.length;
          if (!socket.write(piece)) return;
        }
      };
      socket.on('drain', pump);
      pump();
    });
    const request = requestTo(urlOf(server), {
      timeouts: { ...timeouts, idleMs: 100, totalMs: 20_000 },
    });
    const result = await exits().egress(request);
    if (!result.ok) throw new Error(result.error.message);
    await sleep(300);
    expect(written).toBeLessThan(20_000_000);
    let received = 0;
    for await (const piece of result.value.body) received += piece.length;
    expect(received).toBe(104_857_600);
    expect(result.value.failure()).toBeUndefined();
  });

  test('an answer larger than its reader wants is refused, and its socket closed', async () => {
    const server = await upstream((socket) =>
      socket.write(`${ok}content-length: 100000\r\n\r\n${'x'.repeat(50_000)}`),
    );
    const handle = exits();
    const result = await handle.egress(requestTo(urlOf(server)));
    const body = result.ok ? await result.value.readAll(1_000) : result;
    expect(body).toMatchObject({ ok: false, error: { code: 'upstream_error' } });
    await expect.poll(() => server.sockets.size, { interval: 5 }).toBe(0);
  });

  test('after close nothing goes out', async () => {
    const server = await upstream((socket) => socket.write(fine));
    const handle = exits();
    await handle.close();
    expect(await outcome(handle, requestTo(urlOf(server)))).toBe('draining');
    expect(server.connections).toBe(0);
  });
});
