import { emptyIpSet } from '@postern/core/base/netip';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type HeadRules, judgeHead } from './head.ts';
import { isIdentityHeader, normalHeaderName } from './identity-headers.ts';
import { httpLimits } from './limits.ts';

const open: HeadRules = {
  limits: httpLimits,
  hosts: undefined,
  believed: new Set(),
  trustedProxies: emptyIpSet,
  encodedSlashUnder: [],
  upgrades: false,
};
const ambient: HeadRules = { ...open, hosts: new Set(['ai', '127.0.0.1']) };

function judge(
  lines: readonly string[],
  rules = open,
  head: Partial<{ method: string; target: string; version: string }> = {},
) {
  const rawHeaders = lines.flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const raw = { method: 'POST', target: '/x', version: '1.1', ...head, rawHeaders };
  return judgeHead(raw, '203.0.113.5', rules);
}

function codeOf(result: ReturnType<typeof judge>): string {
  return result.ok ? 'ok' : result.error.code;
}

describe('what has two readings is refused', () => {
  test.each([
    [[]],
    [['Host: ai', 'Host: ai']],
    [['Host: a', 'Host: b']],
    [['Host: ai', 'Content-Length: 5', 'Content-Length: 5']],
    [['Host: ai', 'Content-Length: 05']],
    [['Host: ai', 'Content-Length: 0x5']],
    [['Host: ai', 'Content-Length: +5']],
    [['Host: ai', 'Content-Length: 9999999999999999']],
    [['Host: ai', 'Content-Length:']],
    [['Host: ai', 'Content-Length: 5', 'Transfer-Encoding: chunked']],
    [['Host: ai', 'Transfer-Encoding: gzip, chunked']],
    [['Host: ai', 'Transfer-Encoding: gzip']],
    [['Host: ai', 'Transfer-Encoding: chunked, chunked']],
    [['Host: ai', 'Transfer-Encoding: chunked;q=1']],
    [['Host: ai', 'Transfer-Encoding: identity']],
    [['Host: ai', 'Transfer-Encoding:']],
    [['Host: ai', 'X_Custom: 1']],
    [['Host: ai', '__proto__: 1']],
    [['Host: ai', 'X: a\u0001']],
    [['Host: ai', 'X: a\u007f']],
    [['Host: ai', 'Authorization: Bearer a', 'Authorization: Bearer b']],
    [['Host: ai', 'Content-Type: a/b', 'Content-Type: c/d']],
    [['Host: ai', 'Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings']],
    [['Host: ai', 'Upgrade: websocket']],
    [['Host: ai', 'Expect: 200-ok']],
  ])('%j', (lines) => {
    expect(codeOf(judge(lines))).toBe('malformed_http');
  });

  test.each(['2.0', '1.2', '0.9', '3.0'])('version %s', (version) => {
    expect(codeOf(judge(['Host: ai'], open, { version }))).toBe('malformed_http');
  });

  test('a body where none belongs', () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      expect(codeOf(judge(['Host: ai', 'Content-Length: 5'], open, { method }))).toBe(
        'malformed_http',
      );
      expect(codeOf(judge(['Host: ai', 'Transfer-Encoding: chunked'], open, { method }))).toBe(
        'malformed_http',
      );
      expect(codeOf(judge(['Host: ai', 'Content-Length: 0'], open, { method }))).toBe('ok');
    }
  });

  test('Transfer-Encoding in HTTP/1.0', () => {
    const lines = ['Host: ai', 'Transfer-Encoding: chunked'];
    expect(codeOf(judge(lines, open, { version: '1.0' }))).toBe('malformed_http');
    expect(codeOf(judge(lines))).toBe('ok');
  });

  test('an absolute target with another host than Host', () => {
    expect(codeOf(judge(['Host: ai'], open, { target: 'http://evil/x' }))).toBe('malformed_http');
    expect(codeOf(judge(['Host: ai'], open, { target: 'http://AI/x' }))).toBe('ok');
  });

  test.each(['TRACE', 'CONNECT', 'PROPFIND', 'get', 'QUERY'])('method %s', (method) => {
    expect(codeOf(judge(['Host: ai'], open, { method }))).toBe('method_not_allowed');
  });

  test('too long and too many', () => {
    const target = `/${'a'.repeat(httpLimits.targetBytesMax)}`;
    expect(codeOf(judge(['Host: ai'], open, { target }))).toBe('uri_too_long');
    const many = Array.from({ length: httpLimits.headersMax }, (_, index) => `X-${index}: 1`);
    expect(codeOf(judge(['Host: ai', ...many]))).toBe('headers_too_large');
  });

  test('an unknown expectation has the status of its own', () => {
    expect(judge(['Host: ai', 'Expect: x'])).toMatchObject({ error: { status: 417 } });
  });
});

describe('a web page cannot borrow ambient identity', () => {
  test.each([
    [['Host: evil.example'], 'host_not_allowed'],
    [['Host: localhost'], 'host_not_allowed'],
    [['Host: ai:1234'], 'ok'],
    [['Host: AI.'], 'ok'],
    [['Host: 127.0.0.1'], 'ok'],
    [['Host: ai', 'Origin: http://evil.example'], 'origin_not_allowed'],
    [['Host: ai', 'Origin: null'], 'origin_not_allowed'],
    [['Host: ai', 'Origin:'], 'origin_not_allowed'],
    [['Host: ai', 'Origin: http://ai:81'], 'origin_not_allowed'],
    [['Host: ai', 'Origin: http://ai'], 'ok'],
    [['Host: ai', 'Origin: http://ai', 'Origin: http://evil.example'], 'malformed_http'],
    [['Host: ai', 'Sec-Fetch-Site: cross-site'], 'origin_not_allowed'],
    [['Host: ai', 'Sec-Fetch-Site: same-site'], 'origin_not_allowed'],
    [['Host: ai', 'Sec-Fetch-Site: Cross-Site'], 'origin_not_allowed'],
    [['Host: ai', 'Sec-Fetch-Site: same-origin'], 'ok'],
    [['Host: ai', 'Sec-Fetch-Site: none'], 'ok'],
  ])('%j is %s', (lines, code) => {
    expect(codeOf(judge(lines, ambient))).toBe(code);
  });

  test.each([
    [['Host: localhost', 'X-Forwarded-Host: ai'], 'ok'],
    [['Host: localhost', 'X-Forwarded-Host: ai', 'Origin: http://ai'], 'ok'],
    [['Host: localhost', 'X-Forwarded-Host: ai', 'Origin: http://localhost'], 'origin_not_allowed'],
    [['Host: ai', 'X-Forwarded-Host: evil.example'], 'host_not_allowed'],
    [['Host: ai', 'X-Forwarded-Host: ai, ai'], 'malformed_http'],
    [['Host: ai', 'X-Forwarded-Host: ai', 'X-Forwarded-Host: ai'], 'malformed_http'],
    [['Host: localhost'], 'host_not_allowed'],
  ])('behind serve, which calls a socket localhost, %j is %s', (lines, code) => {
    const rules = { ...ambient, believed: new Set(['x-forwarded-host']) };
    expect(codeOf(judge(lines, rules))).toBe(code);
  });

  test('elsewhere the forwarded name is a claim like any other', () => {
    expect(codeOf(judge(['Host: localhost', 'X-Forwarded-Host: ai'], ambient))).toBe(
      'host_not_allowed',
    );
  });

  test('where identity is not ambient, the name and the page do not matter', () => {
    expect(codeOf(judge(['Host: evil.example', 'Origin: null']))).toBe('ok');
  });
});

describe('identity headers', () => {
  test('are removed, and that they were sent stays known', () => {
    const judged = judge([
      'Host: ai',
      'Tailscale-User-Login: ceo@example.com',
      'X-Real-IP: 1.1.1.1',
    ]);
    expect(judged).toMatchObject({ value: { sawIdentityHeaders: true, sawForwarding: true } });
    expect(judged.ok && [...judged.value.headers.entries()]).toEqual([['host', 'ai']]);
    expect(judge(['Host: ai'])).toMatchObject({
      value: { sawIdentityHeaders: false, sawForwarding: false },
    });
  });

  test('are kept once where the listener believes them, and refused twice', () => {
    const rules = { ...open, believed: new Set(['tailscale-user-login', 'x-forwarded-for']) };
    const line = 'Tailscale-User-Login: a@example.com';
    const judged = judge(
      ['Host: ai', line, 'X-Forwarded-For: 100.64.0.9', 'X-Forwarded-Host: x'],
      rules,
    );
    expect(judged.ok && [...judged.value.headers.entries()]).toEqual([
      ['host', 'ai'],
      ['tailscale-user-login', 'a@example.com'],
      ['x-forwarded-for', '100.64.0.9'],
    ]);
    expect(codeOf(judge(['Host: ai', line, line], rules))).toBe('forbidden_header');
    expect(codeOf(judge(['Host: ai', line, 'Connection: Tailscale-User-Login'], rules))).toBe(
      'forbidden_header',
    );
    expect(codeOf(judge(['Host: ai', 'Tailscale_User_Login: x'], rules))).toBe('forbidden_header');
  });

  test.each([
    'X-Dstack-App-Id',
    'authorization',
    'Host',
    'Content-Length',
    'x-forwarded-for',
    'x_postern_user',
  ])('Connection may not name %s', (name) => {
    expect(codeOf(judge(['Host: ai', `Connection: close, ${name}`]))).toBe('forbidden_header');
  });

  test('other headers named in Connection are for us only', () => {
    const judged = judge([
      'Host: ai',
      'Connection: X-Hop',
      'X-Hop: 1',
      'Keep-Alive: 5',
      'TE: trailers',
    ]);
    expect(judged.ok && [...judged.value.headers.entries()]).toEqual([['host', 'ai']]);
  });

  test('no spelling of a head lets one through', () => {
    const name = fc.constantFrom(
      'Tailscale-User-Login',
      'x-user',
      'X-Forwarded-For',
      'Remote-User',
      'x-ok',
      'Via',
    );
    const spelling = fc.constantFrom(
      (text: string) => text,
      (text: string) => text.toUpperCase(),
      (text: string) => text.replaceAll('-', '_'),
      (text: string) => ` ${text}`,
      (text: string) => `${text} `,
      (text: string) => `${text}\t`,
    );
    const line = fc.tuple(name, spelling).map(([text, spell]) => `${spell(text)}: v`);
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
        const judged = judge(['Host: ai', ...lines]);
        if (!judged.ok) return;
        for (const [kept] of judged.value.headers.entries()) {
          expect(isIdentityHeader(normalHeaderName(kept))).toBe(false);
          expect(['host', 'x-ok']).toContain(kept);
        }
      }),
    );
  });
});

test('several cookies are one, other repetitions are lists', () => {
  const judged = judge(['Host: ai', 'Cookie: a=1', 'Cookie: b=2', 'Accept: x', 'Accept: y']);
  expect(judged.ok && judged.value.headers.get('cookie')).toBe('a=1; b=2');
  expect(judged.ok && judged.value.headers.get('accept')).toBe('x, y');
});
