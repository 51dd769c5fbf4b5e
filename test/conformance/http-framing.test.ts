/** A request that could be read in two ways has no effect at all. */
import { describe, expect, test } from 'vitest';
import { RawClient } from '../harness/http-framing/client.ts';
import { openStage } from '../harness/http-framing/listeners.ts';

const host = 'Host: localhost\r\n';
const chunked = 'Transfer-Encoding: chunked\r\n';
const smuggled = `GET /smuggled HTTP/1.1\r\n${host}\r\n`;

/** Requests that some server somewhere accepts; each would carry a second one to whoever reads it differently. */
const refused: readonly string[] = [
  `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\n${chunked}\r\n0\r\n\r\n${smuggled}`,
  `POST / HTTP/1.1\r\n${host}Content-Length: 0\r\nContent-Length: 44\r\n\r\n${smuggled}`,
  `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  `POST / HTTP/1.0\r\n${host}${chunked}\r\n0\r\n\r\n${smuggled}`,
  `POST / HTTP/1.1\r\n${host}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  `POST / HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
  `GET / HTTP/1.1\r\n${host}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  `GET / HTTP/2.0\r\n${host}\r\n${smuggled}`,
  `GET //evil/x HTTP/1.1\r\n${host}\r\n${smuggled}`,
  `GET /a/%2e%2e/b HTTP/1.1\r\n${host}\r\n${smuggled}`,
  `GET /a%2Fb HTTP/1.1\r\n${host}\r\n${smuggled}`,
  `GET /x#/healthz HTTP/1.1\r\n${host}\r\n${smuggled}`,
  `GET http://evil.example/ HTTP/1.1\r\n${host}\r\n${smuggled}`,
  `GET / HTTP/1.1\r\n${host}${host}\r\n${smuggled}`,
  `GET / HTTP/1.1\r\n${host}__proto__: x\r\n\r\n${smuggled}`,
  `GET / HTTP/1.1\r\n${host}Connection: Tailscale-User-Login\r\n\r\n${smuggled}`,
  `GET / HTTP/1.1\r\n${host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n${smuggled}`,
  `GET * HTTP/1.1\r\n${host}\r\n${smuggled}`,
  `CONNECT localhost:80 HTTP/1.1\r\n${host}\r\n${smuggled}`,
  `TRACE / HTTP/1.1\r\n${host}\r\n${smuggled}`,
];

describe('a refused request', () => {
  test('reaches no handler, nor does anything behind it, on any listener', async () => {
    const handled: string[] = [];
    const stage = await openStage({
      handler: async (request, reply) => {
        handled.push(`${request.listener} ${request.method} ${request.path}`);
        reply.send(200, {}, 'handled');
      },
    });
    try {
      const runs = [...stage.doors].flatMap(([name, door]) =>
        refused.map(async (request) => {
          const client = await RawClient.open(door, { bodyMs: 20, closeMs: 20 });
          const { text } = await client.exchange(Buffer.from(request, 'latin1'));
          client.close();
          return { name, request, lines: text.match(/HTTP\/1\.1 \d{3}/g) ?? [], text };
        }),
      );
      for (const { name, request, lines, text } of await Promise.all(runs)) {
        expect([name, request, lines.length]).toEqual([name, request, 1]);
        expect(lines[0]).toMatch(/ 40[05]$/);
        expect(text.toLowerCase()).toContain('connection: close');
        expect(text).toMatch(/"error":\{"message":/);
      }
    } finally {
      await stage.close();
    }
    expect(handled).toEqual([]);
  });
});
