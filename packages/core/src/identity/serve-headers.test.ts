import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeIdentityText, readServeHeaders } from './serve-headers.ts';

/** As Go's mime.QEncoding writes it: words of at most 75 characters, split between characters. */
function goEncode(text: string): string {
  if (/^[\x20-\x7e\t]*$/.test(text)) return text;
  const words: string[] = [];
  let word = '';
  for (const char of text) {
    let piece = '';
    for (const byte of new TextEncoder().encode(char)) {
      if (byte === 0x20) piece += '_';
      else if (byte >= 0x21 && byte <= 0x7e && !'=?_'.includes(String.fromCharCode(byte)))
        piece += String.fromCharCode(byte);
      else piece += `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    }
    if (word.length + piece.length > 63) {
      words.push(word);
      word = '';
    }
    word += piece;
  }
  return [...words, word].map((body) => `=?utf-8?q?${body}?=`).join(' ');
}

function decoded(value: string): string {
  const result = decodeIdentityText(value);
  return result.ok ? result.value : `refused: ${result.error}`;
}

describe('a text of an identity header', () => {
  test.each([
    ['Alice Example', 'Alice Example'],
    ['=?utf-8?q?Ren=C3=A9?=', 'René'],
    ['=?UTF-8?Q?Ren=c3=a9_Doe?=', 'René Doe'],
    ['=?utf-8?q?Re?= =?utf-8?q?n=C3=A9?=', 'René'],
    ['=?utf-8?q?Ren=C3?= =?utf-8?q?=A9?=', 'René'],
    ['=?utf-8?q?Rene=CC=81?=', 'René'],
    ['a =?utf-8?q?b?=', 'a =?utf-8?q?b?='],
    ['', ''],
  ])('%s reads as %s', (value, text) => {
    expect(decoded(value)).toBe(text);
  });

  test.each([
    ['=?utf-8?q?=0d=0a?=', 'control'],
    ['=?utf-8?q?=00?=', 'control'],
    ['=?utf-8?q?a=E2=80=AEb?=', 'control'],
    ['=?utf-8?q?=C3?=', 'RFC 2047'],
    ['=?utf-8?q?=ED=A0=80?=', 'RFC 2047'],
    ['=?utf-8?q?=G0?=', 'RFC 2047'],
    ['=?utf-8?q?=4?=', 'RFC 2047'],
    ['=?utf-8?b?UmVuw6k=?=', 'RFC 2047'],
    ['=?iso-8859-1?q?Ren=E9?=', 'RFC 2047'],
    ['=?utf-8?q?a', 'RFC 2047'],
    ['=?utf-8?q?a?= b', 'RFC 2047'],
    ['René', 'encoded'],
    ['a\u0001b', 'encoded'],
    ['x'.repeat(257), '256 bytes'],
    ['x'.repeat(2_049), 'too long'],
    [goEncode('é'.repeat(129)), '256 bytes'],
  ])('%j is refused', (value, words) => {
    expect(decoded(value)).toMatch(/^refused: /);
    expect(decoded(value)).toContain(words);
  });

  test('reads back whatever Go encodes', () => {
    const printable = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => {
      const plain = !/\p{Cc}|\p{Cf}|[\u2028\u2029]/u.test(text) && !text.startsWith('=?');
      return plain && new TextEncoder().encode(text.normalize('NFC')).length <= 256;
    });
    fc.assert(
      fc.property(printable, (text) => {
        expect(decoded(goEncode(text))).toBe(text.normalize('NFC'));
      }),
      { numRuns: 500 },
    );
  });

  test('any text at all is decoded or refused', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(typeof decodeIdentityText(`=?utf-8?q?${text}`).ok).toBe('boolean');
        expect(typeof decodeIdentityText(text).ok).toBe('boolean');
      }),
    );
  });
});

describe('the headers of tailscale serve', () => {
  const read = (headers: Readonly<Record<string, string>>) =>
    readServeHeaders((name) => headers[name]);

  test('are read together', () => {
    expect(
      read({
        'tailscale-user-login': 'alice@example.com',
        'tailscale-user-name': '=?utf-8?q?Ren=C3=A9?=',
        'tailscale-user-profile-pic': 'https://example.com/a.png',
        'x-forwarded-for': '100.64.0.2',
        'tailscale-app-capabilities':
          '{"example.com/cap/ai":[{"models":["*"]}],"x.com/cap/y":null}',
      }),
    ).toEqual({
      ok: true,
      value: {
        isFunnel: false,
        login: 'alice@example.com',
        name: 'René',
        forwardedFor: '100.64.0.2',
        capabilities: { 'example.com/cap/ai': [{ models: ['*'] }], 'x.com/cap/y': [] },
      },
    });
  });

  test('that are absent or empty say nothing', () => {
    expect(read({ 'tailscale-user-login': '', 'tailscale-user-name': '' })).toMatchObject({
      ok: true,
      value: { isFunnel: false, login: undefined, name: undefined, capabilities: undefined },
    });
    expect(read({ 'tailscale-funnel-request': '?1' })).toMatchObject({ value: { isFunnel: true } });
    expect(read({ 'tailscale-funnel-request': '' })).toMatchObject({ value: { isFunnel: true } });
  });

  test.each([
    [{ 'tailscale-user-login': 'ceo@example.com, alice@example.com' }, 'one login'],
    [{ 'tailscale-user-login': 'a b' }, 'one login'],
    [{ 'tailscale-user-login': '=?utf-8?q?a=0D?=' }, 'tailscale-user-login cannot be read'],
    [{ 'tailscale-app-capabilities': '[]' }, 'object of lists'],
    [{ 'tailscale-app-capabilities': '{"a":{}}' }, 'object of lists'],
    [{ 'tailscale-app-capabilities': '{"a":[],"a":[1]}' }, 'within the limits'],
    [
      { 'tailscale-app-capabilities': `{"a":${'['.repeat(20)}${']'.repeat(20)}}` },
      'within the limits',
    ],
    [{ 'tailscale-app-capabilities': '{' }, 'within the limits'],
  ])('%j is what serve never writes', (headers, words) => {
    const result = read(headers);
    expect(result.ok ? '' : result.error).toContain(words);
  });

  test('capabilities with names of prototypes are ordinary names', () => {
    const result = read({ 'tailscale-app-capabilities': '{"__proto__":[1],"constructor":[2]}' });
    expect(result.ok && Object.entries(result.value.capabilities ?? {})).toEqual([
      ['__proto__', [1]],
      ['constructor', [2]],
    ]);
  });
});
