import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes, utf8 } from '../bytes.ts';
import type { JsonLimits } from './limits.ts';
import { answerJsonLimits, requestJsonLimits } from './limits.ts';
import { editMembers, objectText, topLevelMembers } from './members.ts';
import { jsonValueOf, parseJson, readJson } from './parse.ts';

function parse(text: string, limits: Partial<JsonLimits> = {}) {
  return parseJson(utf8(text), { ...requestJsonLimits, ...limits });
}

function problem(text: string, limits: Partial<JsonLimits> = {}): string {
  const result = parse(text, limits);
  if (result.ok) return 'read';
  const { reason, message, line, column } = result.error;
  return `${reason}: ${message} (line ${line}, column ${column}).`;
}

describe('reading', () => {
  test('every JSON value reads as the native parser reads it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => {
        const result = parse(text);
        expect(result.ok && JSON.stringify(result.value.value)).toBe(
          JSON.stringify(JSON.parse(text)),
        );
      }),
    );
  });

  test('what the native parser refuses is refused, with a position inside the text', () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 4 }),
        fc.nat(),
        fc.constantFrom('"', '{', '}', ',', ':', '\\', '0', 'x', '\n', '\u0001', '-', 'e', '.'),
        fc.boolean(),
        (text, place, char, isCut) => {
          const at = place % (text.length + 1);
          const broken = text.slice(0, at) + char + (isCut ? '' : text.slice(at));
          const result = parse(broken);
          let native = true;
          try {
            JSON.parse(broken);
          } catch {
            native = false;
          }
          if (!native) expect(result.ok).toBe(false);
          if (result.ok) return;
          expect(native && result.error.reason === 'syntax').toBe(false);
          expect(result.error.message).not.toContain('The text is not JSON');
          expect(result.error.offset).toBeLessThanOrEqual(utf8(broken).length);
          expect(result.error.message).toMatch(/^[A-Z].*[^.]$/s);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('any bytes at all give a value or a problem', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const result = parseJson(bytes, requestJsonLimits);
        if (!result.ok) expect(result.error.line).toBeGreaterThan(0);
      }),
    );
  });

  test('positions count lines and characters, not bytes', () => {
    expect(problem('{"a":1,\n "é": tru}')).toBe('syntax: A value is due here (line 2, column 7).');
    expect(problem('')).toBe('syntax: The text ends where a value is due (line 1, column 1).');
    expect(problem('{"a":1} x')).toBe(
      'syntax: Something follows the end of the JSON value (line 1, column 9).',
    );
    expect(problem('[1,]')).toBe('syntax: A value is due here (line 1, column 4).');
    expect(problem('[01]')).toBe(
      'syntax: A comma or the end of the array is due here (line 1, column 3).',
    );
    expect(problem('{a:1}')).toBe(
      'syntax: A member name in double quotes is due here (line 1, column 2).',
    );
    expect(problem('"a\tb"')).toBe(
      'syntax: A control character stands in a string (line 1, column 3).',
    );
  });

  test('what is not UTF-8 is refused where it stops being so', () => {
    const bad: readonly (readonly number[])[] = [
      [0xc0, 0xaf],
      [0xed, 0xa0, 0x80],
      [0xf5, 0x80, 0x80, 0x80],
      [0xe2, 0x82],
      [0x80],
      [0xff, 0xfe],
    ];
    for (const bytes of bad) {
      const result = parseJson(
        concatBytes(utf8('{"a":"'), new Uint8Array(bytes), utf8('"}')),
        requestJsonLimits,
      );
      expect(result.ok ? 'read' : [result.error.reason, result.error.offset]).toEqual([
        'not_utf8',
        6,
      ]);
    }
    expect(problem('\uFEFF{}')).toMatch(/^syntax: A byte order mark/);
    expect(parseJson(new Uint8Array([0x7b, 0x00, 0x7d, 0x00]), requestJsonLimits).ok).toBe(false);
  });

  test('a duplicate key is refused at every level and in every spelling', () => {
    const said = 'duplicate_key: The member "model" is named twice in one object';
    expect(problem('{"model":"a","model":"b"}')).toBe(`${said} (line 1, column 14).`);
    expect(problem('{"model":"a","m\\u006fdel":"b"}')).toBe(`${said} (line 1, column 14).`);
    expect(problem('[{"x":{"model":[],"model":[]}}]')).toBe(`${said} (line 1, column 19).`);
    // The first of the two holds keys of its own, which vanish with it.
    expect(problem('{"model":{"model":1,"b":2},"model":{"a":1,"b":2,"c":3}}')).toContain(said);
    expect(problem('{"__proto__":1,"__proto__":2}')).toContain('duplicate_key');
    expect(problem('{"1":1,"1":2}')).toContain('duplicate_key');
    expect(problem('{"a":{"b":1},"c":{"b":2}}')).toBe('read');
    expect(readJson(utf8('{"a":1,"a":2}'))).toEqual({ ok: true, value: { a: 2 } });
  });

  test('__proto__ and constructor are ordinary keys of objects without a prototype', () => {
    const result = parse('{"__proto__":{"isAdmin":true},"constructor":1,"a":[{}]}');
    if (!result.ok) throw new Error(result.error.message);
    const value = result.value.value as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor', 'a']);
    expect(Object.getPrototypeOf(value)).toBe(null);
    expect(value['isAdmin']).toBe(undefined);
    expect(value['toString']).toBe(undefined);
    expect(Object.getPrototypeOf((value['a'] as object[])[0])).toBe(null);
  });

  test('every limit is held at its edge', () => {
    expect(problem('[[1]]', { depthMax: 2 })).toBe('read');
    expect(problem('[[[1]]]', { depthMax: 2 })).toContain('too_deep');
    expect(problem('{"a":1,"b":2}', { keysPerObjectMax: 2 })).toBe('read');
    expect(problem('{"a":1,"b":2,"c":3}', { keysPerObjectMax: 2 })).toContain('too_many_keys');
    expect(problem('{"a":{"b":1},"c":{"d":1}}', { keysPerObjectMax: 2 })).toBe('read');
    expect(problem('[1,2,3]', { valuesMax: 3 })).toContain('too_many_values');
    expect(problem('"abcd"', { stringBytesMax: 4 })).toBe('read');
    expect(problem('"abcde"', { stringBytesMax: 4 })).toContain('string_too_long');
    expect(problem('-123', { numberCharsMax: 4 })).toBe('read');
    expect(problem('-1234', { numberCharsMax: 4 })).toContain('number_too_long');
    expect(problem('{}', { bytesMax: 2 })).toBe('read');
    expect(problem('{} ', { bytesMax: 2 })).toContain('too_large');
    expect(problem('[1e999]')).toBe(
      'number_out_of_range: A number is out of the range of a double (line 1, column 2).',
    );
  });

  test('brackets inside strings and runs of backslashes do not confuse the scan', () => {
    expect(
      problem(JSON.stringify({ a: '[[[[{{{{"\\\\"', b: '\\'.repeat(99) }), { depthMax: 1 }),
    ).toBe('read');
    expect(problem(JSON.stringify(`${'x'.repeat(60)}\\"${'\\'.repeat(60)}"[`))).toBe('read');
  });

  test('deep nesting is refused before it is built', () => {
    expect(problem('['.repeat(1_000_000))).toContain('too_deep');
    expect(jsonValueOf(`${'['.repeat(5000)}${']'.repeat(5000)}`)).toBe(undefined);
  });

  test('ten megabytes read in well under a second, of long strings or of small values', () => {
    const image = JSON.stringify({ model: 'm', data: 'A'.repeat(10_000_000) });
    const small = `[${Array.from({ length: 300_000 }, (_, i) => `{"role":"user","n":${i}}`).join(',')}]`;
    const quotes = JSON.stringify({ a: '"'.repeat(3_000_000) });
    for (const text of [image, small, quotes]) {
      const bytes = utf8(text);
      const start = performance.now();
      expect(parseJson(bytes, answerJsonLimits).ok).toBe(true);
      expect(performance.now() - start).toBeLessThan(2000);
    }
  });
});

describe('editing', () => {
  const text = '{ "model" : "a\\u0062", "n":1.0e+2,\n\t"messages":[{"model":"x"}] ,"z":{"k" : 1 }}';

  test('only the named member changes; spacing, order and spelling stay', () => {
    expect(editMembers(objectText(text), { set: { model: 'q"' } })).toBe(
      '{ "model" : "q\\"", "n":1.0e+2,\n\t"messages":[{"model":"x"}] ,"z":{"k" : 1 }}',
    );
    expect(editMembers(objectText(text), { set: { max: 5 }, remove: ['n'] })).toBe(
      '{ "model" : "a\\u0062",\n\t"messages":[{"model":"x"}] ,"z":{"k" : 1 },"max":5}',
    );
    expect(
      editMembers(objectText(text), { within: { z: { set: { i: true } }, y: { set: { i: 1 } } } }),
    ).toBe(
      '{ "model" : "a\\u0062", "n":1.0e+2,\n\t"messages":[{"model":"x"}] ,"z":{"k" : 1,"i":true },"y":{"i":1}}',
    );
    expect(editMembers(objectText('{"z":null}'), { within: { z: { set: { i: true } } } })).toBe(
      '{"z":{"i":true}}',
    );
    expect(editMembers(objectText(' {} '), { set: { a: 1, b: 2 } })).toBe(' {"a":1,"b":2} ');
    expect(editMembers(objectText('{"a":1,"b":2}'), { remove: ['a', 'b'], set: { c: 3 } })).toBe(
      '{"c":3}',
    );
  });

  test('an escaped spelling of a name is that name', () => {
    expect(editMembers(objectText('{"m\\u006fdel":"a"}'), { set: { model: 'b' } })).toBe(
      '{"m\\u006fdel":"b"}',
    );
  });

  test('edits of any object agree with edits of its value', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'é"\\', '__proto__');
    const object = fc.dictionary(name, fc.jsonValue({ maxDepth: 3 }), { noNullPrototype: true });
    fc.assert(
      fc.property(
        object,
        fc.dictionary(fc.constantFrom('a', 'b', 'x'), fc.jsonValue({ maxDepth: 2 })),
        fc.uniqueArray(fc.constantFrom('c', 'd', 'y')),
        fc.constantFrom(undefined, 1, '\t'),
        (value, set, remove, indent) => {
          const source = JSON.stringify(value, null, indent);
          const edited = editMembers(objectText(source), {
            set: set as Record<string, never>,
            remove,
          });
          const expected = new Map(Object.entries(JSON.parse(source) as object));
          for (const gone of remove) expected.delete(gone);
          for (const [key, to] of Object.entries(set)) expected.set(key, to);
          const got = new Map(Object.entries(JSON.parse(edited) as object));
          expect([...got.keys()].sort()).toEqual([...expected.keys()].sort());
          for (const [key, to] of expected) {
            expect(JSON.stringify(got.get(key))).toBe(JSON.stringify(to));
          }
        },
      ),
    );
  });

  test('spans give back names and values', () => {
    expect(
      topLevelMembers(text).map((member) => [
        member.name,
        text.slice(member.valueStart, member.valueEnd),
      ]),
    ).toEqual([
      ['model', '"a\\u0062"'],
      ['n', '1.0e+2'],
      ['messages', '[{"model":"x"}]'],
      ['z', '{"k" : 1 }'],
    ]);
  });
});
