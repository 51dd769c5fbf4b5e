import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { utf8 } from '../bytes.ts';
import { glanceMember } from './glance.ts';
import { isJsonObject, readJson } from './parse.ts';

/** Where the glance gives a value, the reader that builds a tree gives the same one; whether it gave one. */
function agrees(bytes: Uint8Array): boolean {
  const seen = glanceMember(bytes, 'usage');
  if (seen === undefined) return false;
  const read = readJson(bytes);
  expect(read.ok && isJsonObject(read.value)).toBe(true);
  const value = read.ok && isJsonObject(read.value) ? read.value['usage'] : undefined;
  expect(seen.value).toEqual(value);
  return true;
}

describe('a member at a glance', () => {
  test.each([
    ['{"usage":{"prompt_tokens":1}}', { prompt_tokens: 1 }],
    ['{ "a" : [1, -2.5, "x\\n\\u00e9", {"usage": 7}], "usage" : null }\n', null],
    ['{"usage":1,"b":{},"usage":[2]}', [2]],
    ['{"a":"é漢😀","c":[],"d":true,"e":false}', undefined],
    ['{}', undefined],
  ])('%s', (text, value) => {
    expect(glanceMember(utf8(text), 'usage')).toEqual({ value });
    expect(agrees(utf8(text))).toBe(true);
  });

  test.each([
    ['no object', '[{"usage":1}]'],
    ['an end too early', '{"usage":1'],
    ['something behind it', '{"usage":1}{'],
    ['a comma before the end', '{"usage":1,}'],
    ['a name with an escape', '{"\\u0075sage":1}'],
    ['a control character', '{"usage":"a\nb"}'],
    ['half an escape', '{"usage":"\\u00e"}'],
    ['an exponent', '{"usage":1e400}'],
    ['a leading zero', '{"usage":01}'],
    ['a word that is none', '{"usage":nul}'],
    ['too much depth', `{"usage":${'['.repeat(80)}${']'.repeat(80)}}`],
    ['nothing', ''],
  ])('is left to the other reader where there is %s', (_, text) => {
    expect(glanceMember(utf8(text), 'usage')).toBeUndefined();
  });

  test('bytes that are no UTF-8 are left to the other reader', () => {
    expect(glanceMember(Uint8Array.of(0x7b, 0x22, 0xc3, 0x22, 0x3a, 0x31, 0x7d), 'usage')).toBe(
      undefined,
    );
  });

  test('never differs from the whole reader, whatever the values', () => {
    const object = fc.dictionary(fc.oneof(fc.constant('usage'), fc.string()), fc.jsonValue());
    let seen = 0;
    fc.assert(
      fc.property(object, fc.constantFrom(undefined, 2), (value, indent) => {
        if (agrees(utf8(JSON.stringify(value, undefined, indent)))) seen += 1;
      }),
      { numRuns: 1_000 },
    );
    expect(seen).toBeGreaterThan(100);
  });

  test('never differs from the whole reader, whatever is done to the text', () => {
    const object = fc.dictionary(fc.constantFrom('usage', 'a'), fc.jsonValue());
    const put = fc.oneof(
      fc.constantFrom('"', '\\', '{', '}', ',', ':', ' ', '\n', '\0', '0', 'e', '-', ''),
      fc.constantFrom(',"usage":1', 'é', '\ud800'),
    );
    fc.assert(
      fc.property(object, fc.nat(), fc.nat(6), put, (value, at, cut, added) => {
        const text = JSON.stringify(value);
        const from = at % text.length;
        agrees(utf8(text.slice(0, from) + added + text.slice(from + cut)));
      }),
      { numRuns: 3_000 },
    );
  });
});
