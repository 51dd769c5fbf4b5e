/**
 * No spelling of an identity header that a caller writes reaches a handler, on any listener. The echo handler shows
 * every header it was given, so a leak is a value in the answer.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RawClient } from '../harness/http-framing/client.ts';
import { openStage, type Stage, serveHeaders } from '../harness/http-framing/listeners.ts';

const names = [
  'Tailscale-User-Login',
  'Tailscale-User-Name',
  'Tailscale-User-Profile-Pic',
  'Tailscale-App-Capabilities',
  'Tailscale-Funnel-Request',
  'Tailscale-Anything-New',
  'X-Dstack-App-Id',
  'X-Dstack-Target-App',
  'X-Postern-Principal',
  'X-WebAuth-User',
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X-Forwarded-Groups',
  'X-Forwarded-Preferred-Username',
  'X-Forwarded-Access-Token',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Forwarded-Uri',
  'Forwarded',
  'Via',
  'X-Real-IP',
  'True-Client-IP',
  'CF-Connecting-IP',
  'X-Remote-User',
  'Remote-User',
  'Remote-Groups',
  'X-Auth-Request-User',
  'X-Auth-Request-Email',
  'X-User',
  'X-User-Id',
  'X-UserInfo',
  'X-Client-Verify',
  'X-Client-Cert',
  'X-SSL-Client-Verify',
  'X-SSL-Client-S-DN',
  'SSL-Client-Cert',
  'Client-Cert',
  'X-Forwarded-Client-Cert',
  'X-Amzn-Oidc-Identity',
  'X-Amzn-Oidc-Data',
  'X-Goog-IAP-JWT-Assertion',
  'X-Goog-Authenticated-User-Email',
  'CF-Access-Authenticated-User-Email',
  'CF-Access-JWT-Assertion',
  'X-Original-URL',
  'X-Original-Method',
  'X-Rewrite-URL',
  'X-Pomerium-Jwt-Assertion',
  'X-MS-Client-Principal',
  'X-Consumer-Username',
  'X-Authentik-Username',
] as const;

const canary = 'ceo@canary.example';

/** A spelling is the lines of a request; the second value of a pair is what a body of trailers needs. */
type Spelling = (name: string) => string;

const head = (lines: string): string => `GET /echo HTTP/1.1\r\nHost: localhost\r\n${lines}\r\n`;
const spellings: Readonly<Record<string, Spelling>> = {
  'as is': (name) => head(`${name}: ${canary}\r\n`),
  'lower case': (name) => head(`${name.toLowerCase()}: ${canary}\r\n`),
  'upper case': (name) => head(`${name.toUpperCase()}: ${canary}\r\n`),
  underscores: (name) => head(`${name.replaceAll('-', '_')}: ${canary}\r\n`),
  'one underscore': (name) => head(`${name.replace(/-(?=[^-]*$)/, '_')}: ${canary}\r\n`),
  twice: (name) => head(`${name}: a\r\n${name.toLowerCase()}: ${canary}\r\n`),
  'space behind': (name) => head(`${name} : ${canary}\r\n`),
  'space before': (name) => head(` ${name}: ${canary}\r\n`),
  folded: (name) => head(`X-A: b\r\n ${name}: ${canary}\r\n`),
  'named in Connection': (name) => head(`Connection: ${name}\r\n${name}: ${canary}\r\n`),
  'as a trailer': (name) =>
    `POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: ${name}\r\n\r\n` +
    `2\r\nhi\r\n0\r\n${name}: ${canary}\r\n\r\n`,
  'behind a bare line feed': (name) => head(`X-A: b\n${name}: ${canary}\r\n`),
};

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(async () => {
  await stage.close();
});

async function ask(listener: string, request: string): Promise<string> {
  const door = stage.doors.get(listener);
  if (door === undefined) throw new Error(`no listener ${listener}`);
  const client = await RawClient.open(door, { bodyMs: 5, closeMs: 1 });
  try {
    return (await client.exchange(Buffer.from(request, 'latin1'))).text;
  } finally {
    client.close();
  }
}

const listeners = [
  'gateway v4',
  'gateway v6',
  'serve',
  'control socket',
  'admin',
  'public tls',
  'public plain',
] as const;

describe('the matrix of names, spellings and listeners', () => {
  test.each(Object.keys(spellings))('%s', async (how) => {
    const spell = spellings[how];
    const leaks: string[] = [];
    const opened = listeners.filter((listener) => stage.doors.has(listener));
    const questions = opened.flatMap((listener) =>
      names
        // The one listener that believes some of them is told apart below.
        .filter((name) => listener !== 'serve' || !serveHeaders.includes(name.toLowerCase()))
        // Handshakes are dear, and what follows them is the same code: every sixth name.
        .filter((_name, index) => listener !== 'public tls' || index % 6 === 0)
        .map((name) => ({ listener, name })),
    );
    await Promise.all(
      questions.map(async ({ listener, name }) => {
        const answer = await ask(listener, spell?.(name) ?? '');
        const judged = answer.startsWith('HTTP/1.1 400 ') || answer.startsWith('HTTP/1.1 200 ');
        if (answer.includes(canary) || !judged) {
          leaks.push(`${listener}: ${name}: ${answer.slice(0, 80)}`);
        }
      }),
    );
    expect(leaks).toEqual([]);
    expect(opened.length).toBeGreaterThanOrEqual(6);
  });

  test('is large enough to mean something', () => {
    expect(names.length).toBeGreaterThanOrEqual(30);
    expect(Object.keys(spellings).length).toBeGreaterThanOrEqual(8);
  });
});

describe('the serve socket', () => {
  test('believes its proxy in one spelling only', async () => {
    const questions = serveHeaders.flatMap((name) =>
      Object.entries(spellings).map(([how, spell]) => ({ name, how, request: spell(name) })),
    );
    await Promise.all(
      questions.map(async ({ name, how, request }) => {
        const answer = await ask('serve', request);
        const plain = ['as is', 'lower case', 'upper case'].includes(how);
        expect([name, how, answer.includes(`${name}: ${canary}`)]).toEqual([name, how, plain]);
        expect(answer.includes(canary)).toBe(plain);
      }),
    );
  });
});

describe('a page in a browser', () => {
  const ambient = ['gateway v4', 'serve', 'control socket', 'admin'] as const;
  const lines: readonly (readonly [string, string])[] = [
    ['Host: evil.example\r\n', 'host_not_allowed'],
    ['Host: localhost.evil.example\r\n', 'host_not_allowed'],
    ['Host: 127.0.0.2\r\n', 'host_not_allowed'],
    ['Host: localhost\r\nOrigin: https://evil.example\r\n', 'origin_not_allowed'],
    ['Host: localhost\r\nOrigin: null\r\n', 'origin_not_allowed'],
    ['Host: localhost\r\nSec-Fetch-Site: cross-site\r\n', 'origin_not_allowed'],
    ['Host: localhost\r\nSec-Fetch-Site: same-site\r\n', 'origin_not_allowed'],
  ];

  test.each(ambient)(
    'is refused by %s, without words that would let it read more',
    async (listener) => {
      for (const [line, code] of lines) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const answer = await ask(listener, `GET /echo HTTP/1.1\r\n${line}\r\n`);
        expect(answer).toMatch(/^HTTP\/1.1 403 /);
        expect(answer).toContain(code);
        expect(answer.toLowerCase()).not.toContain('access-control');
      }
      const preflight = `OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n`;
      expect(await ask(listener, preflight)).toMatch(/^HTTP\/1.1 403 /);
    },
  );

  test('is no different from other callers where identity is in the request', async () => {
    const answer = await ask('public tls', 'GET /echo HTTP/1.1\r\nHost: x\r\nOrigin: null\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer.toLowerCase()).not.toContain('access-control');
  });
});
