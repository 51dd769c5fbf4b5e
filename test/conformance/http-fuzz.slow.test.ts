/** Broken requests by the thousand: nothing crashes, and no more is handled than is answered. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RawClient } from '../harness/http-framing/client.ts';
import { open } from './http-fixture.ts';

const host = 'Host: ai\r\n';
const seeds: readonly string[] = [
  `GET / HTTP/1.1\r\n${host}\r\n`,
  `GET /a/b?c=d HTTP/1.1\r\n${host}Accept: */*\r\nCookie: a=b\r\n\r\n`,
  `POST /x HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`,
  `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n`,
  `POST /x HTTP/1.0\r\n${host}Connection: keep-alive\r\nContent-Length: 2\r\n\r\nhi`,
  `OPTIONS * HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
  `HEAD / HTTP/1.1\r\n${host}Expect: 100-continue\r\n\r\n`,
];
const scraps: readonly string[] = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '0\r\n\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer_Encoding: chunked\r\n',
  'Tailscale-User-Login: ceo\r\n',
  'Connection: X-Dstack-App-Id\r\n',
  'Upgrade: h2c\r\n',
  'GET /z HTTP/1.1\r\nHost: ai\r\n\r\n',
  '\u00ff',
];

/** A position as a share of the text, and what is put there or how much is taken away. */
const change = fc.tuple(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.oneof(fc.constantFrom(...scraps), fc.integer({ min: 1, max: 6 })),
);
const request = fc
  .tuple(
    fc.array(fc.constantFrom(...seeds), { minLength: 1, maxLength: 3 }),
    fc.array(change, { maxLength: 4 }),
  )
  .map(([parts, changes]) => {
    let text = parts.join('');
    for (const [share, what] of changes) {
      const at = Math.floor(share * text.length);
      const rest = typeof what === 'number' ? text.slice(at + what) : what + text.slice(at);
      text = text.slice(0, at) + rest;
    }
    return text;
  });

test('no broken request is handled without an answer, shows identity or stops the listener', async () => {
  let handled = 0;
  const faults: unknown[] = [];
  const listener = await open({
    onFault: (cause) => faults.push(cause),
    handler: async (one, reply) => {
      await one.readBody(100);
      const shown = [...one.headers.entries()].map(([name, value]) => `${name}:${value}`).join();
      expect(shown).not.toMatch(/ceo|x-dstack/i);
      handled += 1;
      reply.send(299, {}, '');
    },
  });
  const port = listener.port ?? 0;
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 16, maxLength: 16 }), async (texts) => {
      handled = 0;
      const runs = texts.map(async (text) => {
        const client = await RawClient.open(
          { kind: 'tcp', host: '127.0.0.1', port },
          { bodyMs: 15, closeMs: 5 },
        );
        client.write(Buffer.from(text, 'latin1'));
        // What has no end yet gets one, so that no case waits for the timers.
        const { text: answer } = await Promise.race([
          client.exchange(new Uint8Array()),
          new Promise<{ text: string }>((resolve) => setTimeout(() => resolve({ text: '' }), 120)),
        ]);
        client.close();
        expect(answer === '' || /^HTTP\/1\.1 (?:100|20[04]|299|4\d\d) /.test(answer)).toBe(true);
        return answer.match(/HTTP\/1\.1 299/g)?.length ?? 0;
      });
      const answered = (await Promise.all(runs)).reduce((sum, count) => sum + count, 0);
      // A request whose client left in the middle may be handled for nobody; none may be answered unhandled.
      expect(handled).toBeGreaterThanOrEqual(answered);
    }),
    { numRuns: 150 },
  );
  expect(faults).toEqual([]);
}, 120_000);
