import { describe, expect, test } from 'vitest';
import { canonicalHost, isSameOrigin, parseHost } from './host.ts';

describe('a Host value', () => {
  test.each([
    ['ai', 'ai', undefined],
    ['AI.', 'ai', undefined],
    ['localhost:8080', 'localhost', 8080],
    ['127.0.0.1:80', '127.0.0.1', 80],
    ['[::1]:8080', '::1', 8080],
    ['[0:0:0:0:0:0:0:1]', '::1', undefined],
    ['[::ffff:127.0.0.1]', '127.0.0.1', undefined],
    ['my_box.tail-net.ts.net', 'my_box.tail-net.ts.net', undefined],
  ])('%s is read in one form', (text, name, port) => {
    expect(parseHost(text)).toEqual({ ok: true, value: { name, port } });
  });

  test.each([
    '',
    ' ',
    'a b',
    'user@localhost',
    'localhost/path',
    'localhost?x',
    'a,b',
    'localhost:8080, other',
    'localhost:',
    'localhost:80:80',
    'localhost:x',
    'localhost:65536',
    '::1',
    '[::1',
    '[localhost]',
    '[1.2.3]',
    '.',
    '.ai',
    'a..b',
    'a%41',
    'caf\u00e9',
    'a\\b',
  ])('%j is refused', (text) => {
    expect(parseHost(text).ok).toBe(false);
  });

  test('names of the configuration are compared in the same form', () => {
    expect(['[::1]', '::1', 'LOCALHOST.', '0:0::1'].map(canonicalHost)).toEqual([
      '::1',
      '::1',
      'localhost',
      '::1',
    ]);
  });
});

describe('an Origin', () => {
  test.each([
    ['http://localhost:8080', 'localhost:8080', true],
    ['http://LOCALHOST:8080', 'localhost:8080', true],
    ['https://ai.example.ts.net', 'ai.example.ts.net', true],
    ['https://ai.example.ts.net:443', 'ai.example.ts.net', true],
    ['http://[::1]:8080', '[::1]:8080', true],
    ['http://localhost:3000', 'localhost:8080', false],
    ['http://localhost', 'localhost:8080', false],
    ['https://localhost:8080.evil.example', 'localhost:8080', false],
    ['http://evil.example', 'localhost:8080', false],
    ['http://localhost:8080@evil.example', 'localhost:8080', false],
    ['http://localhost:8080/', 'localhost:8080', false],
    ['null', 'localhost:8080', false],
    ['', 'localhost:8080', false],
    ['file://localhost:8080', 'localhost:8080', false],
    ['chrome-extension://localhost:8080', 'localhost:8080', false],
    ['http://localhost:8080, http://evil.example', 'localhost:8080', false],
  ])('%s against Host %s is ours: %s', (origin, hostText, ours) => {
    const host = parseHost(hostText);
    expect(host.ok && isSameOrigin(origin, host.value)).toBe(ours);
  });
});
