import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  byteTextOf,
  find,
  format,
  hujsonBytesMax,
  hujsonDepthMax,
  isStandard,
  minimize,
  pack,
  packText,
  parse,
  parseDocument,
  patch,
  plainValue,
  pointerToken,
  standardize,
  stringLiteral,
  textOf,
} from './index.ts';

function must<T>(result: { ok: true; value: T } | { ok: false; error: { message: string } }): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}
const refusal = (input: Uint8Array | string): string => {
  const parsed = parse(input);
  return parsed.ok ? 'accepted' : parsed.error.message;
};
const formatText = (input: string): string => textOf(byteTextOf(must(format(input))));
const patchText = (input: string, operations: string): string => {
  const patched = patch(must(parse(input)), operations);
  return patched.ok ? textOf(packText(patched.value)) : patched.error.message;
};

describe('parse', () => {
  test.each([
    ['null//', 'hujson: line 1, column 5: parsing comment: unexpected EOF'],
    ['/* a', 'hujson: line 1, column 1: parsing comment: unexpected EOF'],
    ['\ufeff{}', "hujson: line 1, column 1: invalid character '\\ufeff' at start of value"],
    ["{'a': 1}", "hujson: line 1, column 2: invalid character '\\'' at start of value"],
    ['{"é": 1,\n "b": x y}', 'hujson: line 2, column 7: invalid literal: x'],
    [
      '["é" 1]',
      "hujson: line 1, column 7: invalid character '1' after array value (expecting ',' or ']')",
    ],
    ['{1: 2}', "hujson: line 1, column 2: invalid character '1' at start of object name"],
    ['[1,,2]', "hujson: line 1, column 4: invalid character ',' at start of value"],
    ['"\t"', 'hujson: line 1, column 1: invalid literal: "\t"'],
    ['01', 'hujson: line 1, column 1: invalid literal: 01'],
    ['', 'hujson: line 1, column 1: parsing value: unexpected EOF'],
  ])('refuses %j and says where in bytes', (input, message) => {
    expect(refusal(input)).toBe(message);
  });

  test('refuses bytes that are not UTF-8 outside strings and keeps them inside', () => {
    expect(refusal(Uint8Array.of(0x2f, 0x2f, 0xff, 0x0a, 0x31))).toBe(
      'hujson: line 1, column 1: invalid UTF-8 in comment',
    );
    const odd = Uint8Array.of(0x22, 0xff, 0x22);
    expect(pack(must(parse(odd)))).toEqual(odd);
    expect(plainValue(must(parse(odd))).value).toBe('\ufffd');
  });

  test('refuses a document that is too deep or too long before it costs anything', () => {
    expect(parse('['.repeat(hujsonDepthMax) + ']'.repeat(hujsonDepthMax)).ok).toBe(true);
    expect(refusal('['.repeat(hujsonDepthMax + 1))).toBe(
      `hujson: line 1, column ${hujsonDepthMax + 1}: nested deeper than ${hujsonDepthMax} levels`,
    );
    expect(refusal(new Uint8Array(hujsonBytesMax + 1))).toBe(
      `hujson: line 1, column 1: longer than ${hujsonBytesMax} bytes`,
    );
  });
});

/** Documents with comments, trailing commas, odd escapes and odd white space. */
const space = fc
  .array(
    fc.constantFrom(
      ' ',
      '\n',
      '\t',
      '\r\n',
      '\n\n\n',
      '// c\n',
      '// d \u00a0\n',
      '/**/',
      '/*\n * x\n */',
      '/* é\n\n b */',
    ),
    { maxLength: 3 },
  )
  .map((parts) => parts.join(''));
const literal = fc.oneof(
  fc.constantFrom('null', 'true', '-0.5e+3', '"\\u000f\\/"', '"\\ud83d"'),
  fc.string().map((text) => JSON.stringify(text)),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
);
const entry = (tie: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(space, tie, space).map((parts) => parts.join(''));
const { node } = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    literal,
    fc
      .tuple(fc.array(entry(tie('node'))), fc.boolean(), space)
      .map(
        ([items, comma, end]) =>
          `[${items.join(',')}${comma && items.length > 0 ? ',' : ''}${end}]`,
      ),
    fc
      .tuple(
        fc.array(
          fc.tuple(
            space,
            fc.string().map((name) => JSON.stringify(name)),
            space,
            entry(tie('node')),
          ),
        ),
        fc.boolean(),
        space,
      )
      .map(
        ([items, comma, end]) =>
          `{${items.map(([a, name, b, value]) => `${a}${name}${b}:${value}`).join(',')}${comma && items.length > 0 ? ',' : ''}${end}}`,
      ),
  ),
}));
const document = entry(node);

describe('every document', () => {
  test('packs to exactly its input', () => {
    fc.assert(
      fc.property(document, (text) => {
        expect(packText(must(parse(text)))).toBe(byteTextOf(text));
      }),
    );
  });

  test('has one canonical format, which says the same', () => {
    fc.assert(
      fc.property(document, (text) => {
        const once = must(format(text));
        expect(must(format(once))).toEqual(once);
        expect(plainValue(must(parse(once))).value).toEqual(plainValue(must(parse(text))).value);
      }),
    );
  });

  test('becomes standard JSON of the same length and the same lines', () => {
    fc.assert(
      fc.property(document, (text) => {
        const standard = must(standardize(text));
        const input = byteTextOf(text);
        expect(standard.length).toBe(input.length);
        expect(
          byteTextOf(standard)
            .split('\n')
            .map((line) => line.length),
        ).toEqual(input.split('\n').map((line) => line.length));
        const plain = plainValue(must(parse(text))).value;
        expect(JSON.parse(JSON.stringify(plain))).toEqual(
          JSON.parse(JSON.stringify(plainValue(must(parse(standard))).value)),
        );
        expect(() => void JSON.parse(new TextDecoder().decode(standard))).not.toThrow();
        expect(isStandard(must(parse(must(minimize(text)))))).toBe(true);
      }),
    );
  });

  test('stays standard when it was standard', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const again = must(format(text));
        expect(isStandard(must(parse(again)))).toBe(true);
        expect(JSON.parse(textOf(byteTextOf(again)))).toEqual(JSON.parse(text));
      }),
    );
  });
});

test('no bytes make the parser, the formatter or the patcher throw', () => {
  const noise = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '{',
          '}',
          '[',
          ']',
          ',',
          ':',
          '"a"',
          '"\\',
          '1',
          '//',
          '/*',
          '*/',
          '\n',
          ' ',
          '\u00e9',
        ),
        fc.string({ maxLength: 3 }),
      ),
    )
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), noise), noise, (input, operations) => {
      format(input);
      standardize(input);
      const parsed = parse(input);
      if (parsed.ok) patch(parsed.value, operations);
    }),
  );
});

describe('format', () => {
  test('expands what is on several lines, aligns values and adds the trailing comma', () => {
    expect(formatText('{ // why\n"a":1,\n\n\n"long name" : [1,2],}')).toBe(
      '{ // why\n\t"a": 1,\n\n\t"long name": [1, 2],\n}\n',
    );
  });

  test('keeps a short policy on one line and ends with one line feed', () => {
    const policy = '{"acls":[{"action":"accept","src":["*"],"dst":["*:*"]}]}';
    expect(formatText(policy)).toBe(
      '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}\n',
    );
  });
});

describe('patch', () => {
  const rules =
    '{\n\t"acls": [\n\t\t// first\n\t\t"a", // on a\n\t\t// second\n\t\t"b", // on b\n\n\t\t// apart\n\n\t\t"c",\n\t],\n}\n';

  test('takes the comments of a removed element along and leaves its neighbours theirs', () => {
    expect(patchText(rules, '[{"op":"remove","path":"/acls/0"}]')).toBe(
      '{\n\t"acls": [\n\t\t// second\n\t\t"b", // on b\n\n\t\t// apart\n\n\t\t"c",\n\t],\n}\n',
    );
    expect(patchText(rules, '[{"op":"remove","path":"/acls/1"}]')).toBe(
      '{\n\t"acls": [\n\t\t// first\n\t\t"a", // on a\n\t\t// apart\n\n\t\t"c",\n\t],\n}\n',
    );
  });

  test('brings the comments of the patch in with the value', () => {
    expect(
      formatText(patchText('[\n\t1,\n]', '[{"op":"add","path":"/1",\n// why\n"value":2}]')),
    ).toBe('[\n\t1,\n\t// why\n\t2,\n]\n');
  });

  test('leaves the document as it was when an operation is refused', () => {
    const root = must(parse(rules));
    const patched = patch(
      root,
      '[{"op":"remove","path":"/acls/0"},{"op":"remove","path":"/acls/9"}]',
    );
    expect(patched.ok ? '' : patched.error.message).toBe(
      'hujson: patch operation 1: value not found',
    );
    expect(packText(root)).toBe(rules);
  });

  test('sets offsets to where things stand after the change', () => {
    const patched = must(patch(must(parse('[1, 2]')), '[{"op":"add","path":"/0","value":100}]'));
    const again = must(parse(pack(patched)));
    expect(find(patched, '/2')?.startOffset).toBe(find(again, '/2')?.startOffset);
  });
});

describe('positions and plain values', () => {
  const text = '{\n  // é\n  "é": {"a": [1,\n    true]},\n  "a/b~c": 2, "é": 3}';

  test('a pointer leads to the line and byte column of its value or its name', () => {
    const document = must(parseDocument(text));
    expect(document.positionOf('/é/a/1')).toEqual({ line: 4, column: 5, offset: 32 });
    expect(document.positionOfName('/é/a')).toMatchObject({ line: 3, column: 10 });
    expect(document.positionOf(`/${pointerToken('a/b~c')}`)).toMatchObject({ line: 5, column: 12 });
    expect(document.positionOf('/nowhere')).toBeUndefined();
    expect(document.nearestPosition('/é/a/7/x')).toEqual(document.positionOf('/é/a'));
  });

  test('a name given twice is reported where it stands the second time', () => {
    const document = must(parseDocument(text));
    const [problem] = document.plain.problems;
    expect(problem).toMatchObject({ kind: 'duplicate-name', pointer: '/é' });
    expect(document.positionAt(problem?.offset ?? 0)).toMatchObject({ line: 5, column: 15 });
  });

  test('a name of the prototype chain is a name like any other', () => {
    const { value, problems } = plainValue(
      must(parse('{"__proto__": {"x": 1}, "constructor": 2}')),
    );
    expect(problems).toEqual([]);
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(Object.keys(value ?? {})).toEqual(['__proto__', 'constructor']);
  });

  test('a number beyond the doubles is reported, not rounded to infinity', () => {
    expect(plainValue(must(parse('[1e999]')))).toMatchObject({
      value: [null],
      problems: [{ kind: 'number-range', pointer: '/0', offset: 1 }],
    });
  });

  test('text becomes the shortest literal and back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        expect(plainValue(must(parse(textOf(stringLiteral(value))))).value).toBe(
          value.toWellFormed(),
        );
      }),
    );
  });
});
