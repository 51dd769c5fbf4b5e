import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readTarget } from './target.ts';

const strict = { encodedSlashUnder: [] };
const withIds = { encodedSlashUnder: ['/v1/models/'] };

describe('a request target has one meaning', () => {
  test.each([
    ['/', '/', ''],
    ['/v1/models', '/v1/models', ''],
    ['/v1/models?', '/v1/models', ''],
    ['/v1/models?a=1&b=%20', '/v1/models', 'a=1&b=%20'],
    ['/a/..b/.c/d.', '/a/..b/.c/d.', ''],
    ['/model/anthropic.claude-3%3A0/invoke', '/model/anthropic.claude-3%3A0/invoke', ''],
    ["/a-._~!$&'()*+,;=:@", "/a-._~!$&'()*+,;=:@", ''],
    ['/q?x={"a":[1]}'.replaceAll('"', "'"), '/q', "x={'a':[1]}"],
    ['/q?//../%2e%2e?', '/q', '//../%2e%2e?'],
  ])('%s is read', (raw, path, query) => {
    const read = readTarget('GET', raw, strict);
    expect(read).toEqual({ ok: true, value: { path, query, authority: undefined } });
  });

  test.each([
    ['http://ai/v1?x=1', '/v1', 'x=1', 'ai'],
    ['HTTPS://Ai:443', '/', '', 'Ai:443'],
    ['http://ai?x', '/', 'x', 'ai'],
  ])('absolute form %s is read with its authority', (raw, path, query, authority) => {
    expect(readTarget('GET', raw, strict)).toEqual({ ok: true, value: { path, query, authority } });
  });

  test.each([
    '',
    'v1',
    '*',
    '//',
    '//evil/x',
    '/a//b',
    '/a/./b',
    '/a/../b',
    '/..',
    '/.',
    '/a/%2e%2e/b',
    '/a/%2E./b',
    '/a%2fb',
    '/a%2Fb',
    '/a%5cb',
    '/a%00',
    '/a%0d%0aX:1',
    '/a%7f',
    '/a%',
    '/a%2',
    '/a%zz',
    '/a\\b',
    '/a#b',
    '/a?b#c',
    '/a b',
    '/a\tb',
    '/caf\u00e9',
    '/\u00c0\u00af',
    '/a?\u00e9',
    '/a?"',
    '/a?<script>',
    '/a?b\\c',
    '/a?%zz',
    '/a|b',
    '/{id}',
    'ftp://ai/x',
    'ai:443',
    'http://ai//x',
    'http://ai/../x',
  ])('%j is refused', (raw) => {
    expect(readTarget('GET', raw, strict).ok).toBe(false);
  });

  test('the asterisk is for OPTIONS alone', () => {
    const read = readTarget('OPTIONS', '*', strict);
    expect(read).toEqual({ ok: true, value: { path: '*', query: '', authority: undefined } });
    for (const method of ['GET', 'POST', 'HEAD'])
      expect(readTarget(method, '*', strict).ok).toBe(false);
  });

  test('an encoded slash is read only where identifiers may hold one', () => {
    expect(readTarget('GET', '/v1/models/local%2Fllama', withIds).ok).toBe(true);
    expect(readTarget('GET', '/v1/other/local%2Fllama', withIds).ok).toBe(false);
    for (const tail of ['%2F', 'a%2F', 'a%2F%2Fb', 'a%2F..%2Fb', '..%2Fb', 'a%2F.', 'a%2Fb%2F']) {
      expect(readTarget('GET', `/v1/models/${tail}`, withIds).ok).toBe(false);
    }
  });

  test('what is accepted is what the URL standard would leave as it is', () => {
    const piece = fc.constantFrom('/', 'a', '.', '..', '%2e', '%20', '?', ';', '%', '\\', '#', 'é');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const raw = `/${pieces.join('')}`;
        const read = readTarget('GET', raw, strict);
        if (!read.ok) return;
        const url = new URL(`http://host${raw}`);
        expect(url.pathname).toBe(read.value.path);
        expect(url.host).toBe('host');
      }),
    );
  });
});
