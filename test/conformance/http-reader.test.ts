/**
 * Two readers of requests, one meaning: whatever bytes come, a listener with our own reader answers as one whose
 * requests are all read by node:http (llhttp), and its handlers see the same.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HttpHandler, Listener } from '@postern/server/http';
import { readHead } from '@postern/server/http/fast';
import { bytes, dial, open } from './http-fixture.ts';

const mirror: HttpHandler = async (request, reply) => {
  const body = await request.readBody(4_096);
  const seen = {
    method: request.method,
    path: request.path,
    query: request.query,
    headers: [...request.headers.entries()],
    body: body.ok ? Buffer.from(body.value).toString('latin1') : body.error.code,
    forwarding: request.sawForwarding,
    identity: request.sawIdentityHeaders,
  };
  reply.send(200, { 'content-type': 'application/json' }, JSON.stringify(seen));
};

/** What a client gets, without what differs by the time and by the order of headers. */
async function answered(listener: Listener, request: Uint8Array): Promise<string> {
  const client = await dial(listener);
  const { text, state } = await client.exchange(request);
  client.close();
  const lines = text
    .split('\r\n')
    .map((line) => (line.startsWith('{') ? line : line.toLowerCase()))
    .filter((line) => !line.startsWith('date: '));
  return [...lines.toSorted(), state].join('\n');
}

const usual =
  'POST /v1/chat/completions HTTP/1.1\r\nHost: ai\r\nContent-Type: application/json\r\n' +
  'Authorization: Bearer x\r\nAccept: */*\r\nContent-Length: 11\r\n\r\n{"model":1}';
/** What attackers and broken clients put somewhere. */
const splinters = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  '\x7f',
  '\xff',
  '%',
  '#',
  '\\',
  '//',
  '/../',

  'Content-Length: 3\r\n',
  'Content-Length: +11\r\n',
  'content-length:11\r\n',
  'Content-Length : 11\r\n',

  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Expect: 100-continue\r\n',

  'Connection: close\r\n',
  'Connection: content-length\r\n',
  'Connection: keep-alive, x\r\n',
  'Upgrade: h2c\r\n',

  'Host: b\r\n',
  'X_Forwarded_For: 1\r\n',
  'Tailscale-User-Login: a\r\n',
  'Via: 1.1 x\r\n',
  ' folded\r\n',

  'HTTP/1.0',
  'HTTP/1.2',
  'GET',
  'G',
  'post',
  'Content-Encoding: gzip\r\n',
  'Cookie: a=b\r\n',
  '\xc3\xa9',
];

const mutated = fc
  .array(
    fc.record({
      at: fc.nat({ max: usual.length }),
      cut: fc.nat({ max: 4 }),
      put: fc.oneof(fc.constantFrom(...splinters), fc.constant('')),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((changes) =>
    changes.reduce(
      (text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut),
      usual,
    ),
  );

describe('the same bytes to both readers', () => {
  test('get the same answer, from a handler that saw the same', { timeout: 60_000 }, async () => {
    const limits = {
      headMs: 400,
      firstByteMs: 200,
      bodyPauseMsMax: 200,
      checkMs: 100,
      lingerMs: 50,
    };
    const same = { handler: mirror, limits, newRequestId: () => 'req_1' };
    const fast = await open(same);
    const node = await open({ ...same, reader: 'node' });
    await fc.assert(
      fc.asyncProperty(mutated, async (text) => {
        const [ours, theirs] = await Promise.all([
          answered(fast, bytes(text)),
          answered(node, bytes(text)),
        ]);
        expect(ours, JSON.stringify(text)).toBe(theirs);
      }),
      { numRuns: 150 },
    );
  });

  test('in any split, on one connection, one request after the other', async () => {
    const fast = await open({ handler: mirror });
    const client = await dial(fast);
    for (const cut of [0, 5, 40, usual.length - 11, usual.length - 3]) {
      client.write(bytes(usual.slice(0, cut)));
      // oxlint-disable-next-line no-await-in-loop -- one request after the other is the point
      await new Promise((resolve) => {
        setTimeout(resolve, 5);
      });
      // oxlint-disable-next-line no-await-in-loop -- as above
      const { text, state } = await client.exchange(bytes(usual.slice(cut)));
      expect(text, `cut at ${cut}`).toContain('HTTP/1.1 200 OK');
      expect(text).toContain('{\\"model\\":1}');
      expect(state).toBe('open');
    }
  });
});

describe('the head reader', () => {
  const headOf = (text: string) => readHead(text.slice(0, text.indexOf('\r\n\r\n')));

  test('takes the usual shape, values as they are', () => {
    expect(headOf(usual)).toEqual({
      method: 'POST',
      target: '/v1/chat/completions',
      version: '1.1',
      rawHeaders: [
        'Host',
        'ai',
        'Content-Type',
        'application/json',
        'Authorization',
        'Bearer x',
        'Accept',
        '*/*',
        'Content-Length',
        '11',
      ],
      bodyBytes: 11,
    });
  });

  test.each([
    ['a second length', 'Content-Length: 11\r\nHost'],
    ['chunks', 'Transfer-Encoding: chunked\r\nHost'],
    ['an expectation', 'Expect: 100-continue\r\nHost'],
    ['a compressed body', 'Content-Encoding: gzip\r\nHost'],
    ['a folded line', 'A: b\r\n c\r\nHost'],
    ['a space before the colon', 'A : b\r\nHost'],
    ['a bare line feed', 'A: b\nC: d\r\nHost'],
    ['a NUL', 'A: b\0\r\nHost'],
    ['an end of the connection', 'Connection: close\r\nHost'],
  ])('leaves %s to the other one', (_name, put) => {
    expect(headOf(usual.replace('Host', put))).toBeUndefined();
  });
});
