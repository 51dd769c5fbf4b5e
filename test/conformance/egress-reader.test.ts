/**
 * Two readers of answers: what ours takes for a whole answer, Node's own (llhttp) takes for the very same one. Ours may
 * refuse more, never less, and no byte of one answer is ever part of another.
 */
import http from 'node:http';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exits, outcome, requestTo, timeouts, upstream } from './egress-fixture.ts';

const usual =
  'HTTP/1.1 200 OK\r\nDate: today\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"model":1}';
const chunked =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n' +
  '5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX: y\r\n\r\n';
const splinters = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  '0',
  'f',
  '-',
  '\x7f',
  '\xff',

  'Content-Length: 3\r\n',
  'Content-Length: +11\r\n',
  'Transfer-Encoding: chunked\r\n',
  ' folded\r\n',

  'Connection: close\r\n',
  'Upgrade: x\r\n',
  'HTTP/1.0',
  'HTTP/1.1 100 C\r\n\r\n',
  'HTTP/2 200\r\n',

  'Transfer-Encoding: gzip\r\n',
  'Content-Encoding: gzip\r\n',
  '0\r\n\r\n',
  'ffffffffffffffff',
  '204',
  '101',
];

const mutated = fc
  .tuple(
    fc.constantFrom(usual, chunked),
    fc.array(
      fc.record({
        at: fc.nat({ max: 160 }),
        cut: fc.nat({ max: 3 }),
        put: fc.oneof(fc.constantFrom(...splinters), fc.constant('')),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  )
  .map(([start, changes]) =>
    changes.reduce(
      (text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut),
      start,
    ),
  );

/** What `node:http`, strict as it is by itself, makes of the answer. What comes behind a whole one is nobody's. */
function readByNode(port: number): Promise<string> {
  return new Promise((resolve) => {
    let whole: http.IncomingMessage | undefined;
    const pieces: Buffer[] = [];
    const ended = (cause?: Error): void => {
      const body = Buffer.concat(pieces).toString();
      resolve(whole?.complete === true ? `${whole.statusCode} ${body}` : String(cause));
    };
    const request = http.request({ port, host: '127.0.0.1', method: 'POST', timeout: 1_000 });
    request.on('response', (response) => {
      whole = response;
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', ended).on('error', ended);
    });
    // An error behind the end is told before the end is.
    request.on('error', (cause) => setImmediate(ended, cause));
    request.on('timeout', () => request.destroy(new Error('silent')));
    request.end('{}');
  });
}

test('what ours accepts, llhttp accepts as the same', { timeout: 60_000 }, async () => {
  let answer = '';
  const server = await upstream((socket: Socket) => {
    socket.end(Buffer.from(answer, 'latin1'));
  });
  const url = `http://127.0.0.1:${server.port}/`;
  const ours = exits();
  const brief = { ...timeouts, firstByteMs: 300, idleMs: 300 };
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(mutated, async (text) => {
      answer = text;
      const got = await outcome(ours, requestTo(url, { timeouts: brief }));
      if (!/^[1-5]/.test(got)) return;
      accepted += 1;
      expect(await readByNode(server.port), JSON.stringify(text)).toBe(got);
    }),
    { numRuns: 400 },
  );
  expect(accepted).toBeGreaterThan(20);
});

test('in any split the answer is the same', async () => {
  let cuts: readonly number[] = [];
  const server = await upstream((socket: Socket) => {
    void (async () => {
      let from = 0;
      for (const at of [...cuts, chunked.length]) {
        socket.write(chunked.slice(from, at), 'latin1');
        from = at;
        // oxlint-disable-next-line no-await-in-loop -- pieces one after the other
        await new Promise((resolve) => {
          setTimeout(resolve, 2);
        });
      }
    })();
  });
  const handle = exits();
  const places = fc
    .uniqueArray(fc.integer({ min: 1, max: chunked.length - 1 }), { minLength: 1, maxLength: 4 })
    .map((list) => list.toSorted((a, b) => a - b));
  await fc.assert(
    fc.asyncProperty(places, async (list) => {
      cuts = list;
      expect(await outcome(handle, requestTo(`http://127.0.0.1:${server.port}/`))).toBe(
        '200 hello world',
      );
    }),
    { numRuns: 60 },
  );
});

test('bytes behind the end of an answer are nobody’s, and its connection is not used again', async () => {
  const server = await upstream((socket: Socket, _request, index) => {
    socket.write(index === 1 ? `${usual}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil` : usual);
  });
  const handle = exits();
  const url = `http://127.0.0.1:${server.port}/`;
  expect(await outcome(handle, requestTo(url))).toBe('200 {"model":1}');
  expect(await outcome(handle, requestTo(url))).toBe('200 {"model":1}');
  expect(server.connections).toBe(2);
});
