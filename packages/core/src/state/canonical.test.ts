import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from './canonical.ts';

describe('canonical JSON', () => {
  test('members are sorted by UTF-16 code units, as in RFC 8785 section 3.2.3', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    expect(canonicalJson(value)).toBe(
      '{"\\r":"Carriage Return","1":"One","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis","\u20ac":"Euro Sign","\ud83d\ude00":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    );
  });

  test('numbers are written as ECMAScript writes them, without a second spelling', () => {
    expect(canonicalJson([333333333.3333333, 1e30, 4.5, 2e-3, 1e-27, 0])).toBe(
      '[333333333.3333333,1e+30,4.5,0.002,1e-27,0]',
    );
  });

  test('what JSON does not have is a defect, not a guess', () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    for (const bad of [undefined, { a: undefined }, Number.NaN, Infinity, -0, '\ud800', cyclic]) {
      expect(() => canonicalJson(bad)).toThrow('canonical JSON');
    }
    expect(() => canonicalJson(() => 1)).toThrow('canonical JSON of a function');
  });

  test('a value survives its text, and equal values have equal text whatever their order', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value).replaceAll('-0', '0');
        fc.pre(text.isWellFormed() && !/\\ud[89a-f]/i.test(text));
        const parsed: unknown = JSON.parse(text);
        const canonical = canonicalJson(parsed);
        expect(JSON.parse(canonical)).toEqual(parsed);
        expect(canonicalJson(JSON.parse(canonical))).toBe(canonical);
      }),
    );
  });
});
