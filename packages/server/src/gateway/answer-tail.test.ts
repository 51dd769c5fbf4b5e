import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isJsonObject, readJson } from '@postern/core/base';
import { membersFrom } from './answer-tail.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Where the end gives a member, the reader of the whole text gives the same one, if it takes the text; whether it gave one. */
function agrees(text: string): boolean {
  const bytes = bytesOf(text);
  const seen = membersFrom('usage', bytes);
  const read = readJson(bytes);
  if (seen === undefined || !read.ok) return false;
  expect(isJsonObject(read.value) ? read.value['usage'] : undefined).toEqual(seen['usage']);
  return true;
}

describe('the end of an answer', () => {
  test.each([
    ['{"id":"x","usage":{"prompt_tokens":1}}', { prompt_tokens: 1 }],
    ['{"a":{"usage":7},"usage":{"n":1},"service_tier":"default"}\n', { n: 1 }],
    ['{\n  "usage": null,\n  "b": [1, {"c": "\\"usage\\":2}"}]\n}\n', null],
    ['{"usage":1,"usage":2}', 2],
    ['{"usage":1,"\\u0075sage":2}', 2],
    ['{"text":"é漢😀","usage":{"n":1},"note":"naïve"}', { n: 1 }],
    [`{"a":"${'x'.repeat(5_000)}","usage":{"n":3}}`, { n: 3 }],
  ])('gives the member: %s', (text, value) => {
    expect(membersFrom('usage', bytesOf(text))?.['usage']).toEqual(value);
    expect(agrees(text)).toBe(true);
  });

  test.each([
    ['it is not there', '{"id":"x"}'],
    ['it stands inside another', '{"choices":[{"usage":{"n":1}}]}'],
    ['it is a word of the model', '{"text":"\\"usage\\":{}}"}'],
    ['it is a value', '{"kind":"usage"}'],
    ['it is far from the end', `{"usage":{"n":1},"a":"${'x'.repeat(5_000)}"}`],
    ['the text breaks off', '{"usage":{"n":1}'],
    ['something follows', '{"usage":{"n":1}}}'],
    ['there is only the member', '"usage":1}'],
    ['there is nothing', ''],
  ])('says nothing where %s', (_, text) => {
    expect(membersFrom('usage', bytesOf(text))).toBeUndefined();
  });

  const names = fc.oneof(fc.constantFrom('usage', 'a"usage":', '\\'), fc.string());
  const object = fc.dictionary(names, fc.jsonValue(), { noNullPrototype: true });

  test('never differs from the whole text, whatever the values', () => {
    let seen = 0;
    fc.assert(
      fc.property(object, fc.constantFrom(undefined, 2), (value, indent) => {
        if (agrees(JSON.stringify(value, undefined, indent))) seen += 1;
      }),
      { numRuns: 2_000 },
    );
    expect(seen).toBeGreaterThan(200);
  });

  test('never differs from the whole text, whatever is done to it', () => {
    const put = fc.oneof(
      fc.constantFrom('"', '\\', '{', '}', ',', ':', ' ', '\n', '0', ''),
      fc.constantFrom(',"usage":1', '"usage":', '"usage":{}}', '\\"usage":1'),
    );
    fc.assert(
      fc.property(object, fc.nat(), fc.nat(6), put, (value, at, cut, added) => {
        const text = JSON.stringify(value);
        const from = at % text.length;
        agrees(text.slice(0, from) + added + text.slice(from + cut));
      }),
      { numRuns: 5_000 },
    );
  });
});
