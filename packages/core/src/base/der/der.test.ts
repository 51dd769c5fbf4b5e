import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex, utf8 } from '../bytes.ts';
import { type DerElement, DerTag, decodeDer, der, readDer } from './index.ts';

function bytes(hex: string): Uint8Array {
  return fromHex(hex.replaceAll(' ', ''))!;
}

function decode<T>(hex: string, read: (root: DerElement) => T): T | string {
  const result = decodeDer(bytes(hex), read);
  return result.ok ? result.value : `${result.error.code}@${result.error.offset}`;
}

describe('lengths and tags', () => {
  test.each([
    ['', 'truncated@0'],
    ['02', 'truncated@1'],
    ['02 01', 'truncated@1'],
    ['02 01 00 00', 'trailing-bytes@3'],
    ['30 80 00 00', 'bad-length@1'],
    ['02 81 01 00', 'bad-length@1'],
    ['02 82 00 81 00', 'bad-length@1'],
    ['02 85 00 00 00 00 01 00', 'bad-length@1'],
    ['02 ff', 'bad-length@1'],
    ['02 84 ff ff ff ff', 'truncated@1'],
    ['00 00', 'bad-tag@0'],
    ['24 03 04 01 00', 'bad-tag@0'],
    ['10 00', 'bad-tag@0'],
    ['9f 1e 00', 'bad-tag@1'],
    ['9f 80 1f 00', 'bad-tag@1'],
    ['9f ff ff ff ff 01 00', 'bad-tag@1'],
  ])('refuses %s', (hex, expected) => {
    expect(decode(hex, (root) => root.tag)).toBe(expected);
  });

  test('reads a long tag number and a long length', () => {
    expect(decode(`bf 81 01 81 80 ${'00'.repeat(128)}`, (r) => [r.tag, r.content.length])).toEqual([
      129, 128,
    ]);
  });

  test('a declared length of four gigabytes costs nothing', () => {
    expect(decode('30 84 ff ff ff ff 02 01 00', (root) => root.tag)).toBe('truncated@1');
  });

  test('an element may not reach past the one that holds it', () => {
    expect(decode('30 03 02 02 00', (root) => root.sequence((c) => c.next().integer()))).toBe(
      'truncated@3',
    );
  });

  test('what a decoder leaves unread inside a sequence is refused', () => {
    const one = (root: DerElement): bigint => root.sequence((cursor) => cursor.next().integer());
    expect(decode('30 06 02 01 01 02 01 02', one)).toBe('trailing-bytes@5');
    expect(decode('30 00', one)).toBe('missing-element@2');
  });

  test('depth and element count are bounded', () => {
    let nest = der.nothing();
    for (let i = 0; i < 40; i += 1) nest = der.sequence(nest);
    const deep = decodeDer(nest, (root) => root.checkTree());
    expect(deep).toMatchObject({ ok: false, error: { code: 'too-deep' } });
    const wide = decodeDer(der.sequence(new Uint8Array(200).fill(5)), (root) => root.checkTree());
    expect(wide).toMatchObject({ ok: false });
    const many = der.sequence(...Array.from({ length: 20 }, () => der.nothing()));
    expect(decodeDer(many, (root) => root.checkTree(), { elementsMax: 20 })).toMatchObject({
      error: { code: 'too-many-elements' },
    });
    expect(decodeDer(many, (root) => root.tag, { bytesMax: 10 })).toMatchObject({
      error: { code: 'too-large' },
    });
  });

  test('checkTree finds an ill-formed element that no decoder looked at', () => {
    expect(decode('30 04 30 02 02 05', (root) => root.checkTree())).toBe('truncated@5');
  });

  test('readDer tells where the first of several elements ends', () => {
    const result = readDer(bytes('02 01 07 ff ff'), (root) => root.integer());
    expect(result).toEqual({ ok: true, value: { value: 7n, length: 3 } });
  });
});

describe('values', () => {
  test.each([
    ['02 01 00', 0n],
    ['02 01 7f', 127n],
    ['02 02 00 80', 128n],
    ['02 01 80', -128n],
    ['02 02 ff 7f', -129n],
    ['02 00', 'bad-value@0'],
    ['02 02 00 7f', 'bad-value@0'],
    ['02 02 ff 80', 'bad-value@0'],
    ['03 01 00', 'unexpected-tag@0'],
  ])('INTEGER %s is %s', (hex, expected) => {
    expect(decode(hex, (root) => root.integer())).toBe(expected);
  });

  test.each([
    ['01 01 00', false],
    ['01 01 ff', true],
    ['01 01 01', 'bad-value@0'],
    ['01 00', 'bad-value@0'],
    ['01 02 ff ff', 'bad-value@0'],
  ])('BOOLEAN %s is %s', (hex, expected) => {
    expect(decode(hex, (root) => root.boolean())).toBe(expected);
  });

  test.each([
    ['06 03 55 1d 11', '2.5.29.17'],
    ['06 0a 2b 06 01 04 01 83 e7 3d 01 03', '1.3.6.1.4.1.62397.1.3'],
    ['06 01 27', '0.39'],
    ['06 01 28', '1.0'],
    ['06 02 88 37', '2.999'],
    ['06 00', 'bad-value@0'],
    ['06 02 55 80', 'bad-value@0'],
    ['06 03 55 80 01', 'bad-value@0'],
    ['06 02 55 9d', 'bad-value@0'],
  ])('OBJECT IDENTIFIER %s is %s', (hex, expected) => {
    expect(decode(hex, (root) => root.oid())).toBe(expected);
  });

  test('a BIT STRING has zero unused bits, and a named list no trailing zeros', () => {
    expect(decode('03 02 05 a0', (r) => [...r.namedBits()])).toEqual([0, 2]);
    expect(decode('03 02 04 a0', (r) => [...r.namedBits()])).toBe('bad-value@0');
    expect(decode('03 02 04 a0', (r) => [...r.looseBits()])).toEqual([0, 2]);
    expect(decode('03 01 00', (r) => [...r.namedBits()])).toEqual([]);
    expect(decode('03 02 05 a1', (r) => r.bitString())).toBe('bad-value@0');
    expect(decode('03 02 08 00', (r) => r.bitString())).toBe('bad-value@0');
    expect(decode('03 01 01', (r) => r.bitString())).toBe('bad-value@0');
    expect(decode('03 00', (r) => r.bitString())).toBe('bad-value@0');
    expect(decode('03 02 01 80', (r) => r.bitStringOctets())).toBe('bad-value@0');
  });

  test.each([
    ['700101000000Z', 0],
    ['491231235959Z', 2524607999000],
    ['500101000000Z', -631152000000],
    ['240229120000Z', 1709208000000],
    ['230229120000Z', 'bad-value@0'],
    ['231301000000Z', 'bad-value@0'],
    ['230101240000Z', 'bad-value@0'],
    ['230101000060Z', 'bad-value@0'],
    ['2301010000Z', 'bad-value@0'],
    ['230101000000+0000', 'bad-value@0'],
    ['230101000000z', 'bad-value@0'],
    ['2301010000 0Z', 'bad-value@0'],
  ])('UTCTime %s is %s', (text, expected) => {
    expect(decode(toHex(der.element(0x17, utf8(text))), (root) => root.time())).toBe(expected);
  });

  test.each([
    ['20500101000000Z', 2524608000000],
    ['00010101000000Z', -62135596800000],
    ['99991231235959Z', 253402300799000],
    ['20500101000000.5Z', 'bad-value@0'],
    ['20500101000000', 'bad-value@0'],
  ])('GeneralizedTime %s is %s', (text, expected) => {
    expect(decode(toHex(der.element(0x18, utf8(text))), (root) => root.time())).toBe(expected);
  });

  test('a string keeps to the repertoire of its type', () => {
    const text = (hex: string): unknown => decode(hex, (root) => root.text());
    expect(text('13 02 41 62')).toEqual({ kind: 'printable', text: 'Ab' });
    expect(text('13 01 2a')).toBe('bad-value@0');
    expect(text('16 01 80')).toBe('bad-value@0');
    expect(text('0c 02 c3 a4')).toEqual({ kind: 'utf8', text: 'ä' });
    expect(text('0c 02 c3 28')).toBe('bad-value@0');
    expect(text('1e 02 00 41')).toEqual({ kind: 'bmp', text: 'A' });
    expect(text('1e 01 41')).toBe('bad-value@0');
    expect(text('1e 02 d8 00')).toBe('bad-value@0');
    expect(text('1c 04 00 01 f6 00')).toEqual({ kind: 'universal', text: '😀' });
    expect(text('1c 04 00 11 00 00')).toBe('bad-value@0');
    expect(text('12 02 31 20')).toEqual({ kind: 'numeric', text: '1 ' });
    expect(text('14 01 e4')).toEqual({ kind: 'teletex', text: 'ä' });
    expect(text('04 01 41')).toBe('unexpected-tag@0');
  });

  test('a SET OF ascends', () => {
    const read = (root: DerElement): bigint[] => root.setOf((element) => element.integer());
    expect(decode('31 06 02 01 01 02 01 02', read)).toEqual([1n, 2n]);
    expect(decode('31 06 02 01 02 02 01 01', read)).toBe('bad-value@5');
  });

  test('context tags are explicit or implicit as the type says', () => {
    expect(decode('a0 03 02 01 05', (r) => r.explicit(0).integer())).toBe(5n);
    expect(decode('80 01 05', (r) => r.implicit(0, DerTag.integer).integer())).toBe(5n);
    expect(decode('80 01 05', (r) => r.explicit(0).integer())).toBe('unexpected-tag@0');
    expect(decode('a0 03 02 01 05', (r) => r.implicit(0, DerTag.integer).integer())).toBe(
      'unexpected-tag@0',
    );
    expect(decode('81 01 05', (r) => r.implicit(0, DerTag.integer).integer())).toBe(
      'unexpected-tag@0',
    );
    expect(decode('a0 06 02 01 05 02 01 05', (r) => r.explicit(0).integer())).toBe(
      'trailing-bytes@5',
    );
  });

  test('a bug in a decoder is not turned into a refusal', () => {
    const broken = (): never => {
      throw new TypeError('bug');
    };
    expect(() => decodeDer(bytes('05 00'), broken)).toThrow(TypeError);
  });
});

describe('round trips', () => {
  test('every integer comes back', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }), (value) => {
        expect(decodeDer(der.integer(value), (root) => root.integer())).toEqual({
          ok: true,
          value,
        });
      }),
    );
  });

  test('every object identifier comes back', () => {
    const arcs = fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n }), { maxLength: 8 });
    const roots = fc.oneof(
      fc.tuple(fc.constantFrom(0n, 1n), fc.bigInt({ min: 0n, max: 39n })),
      fc.tuple(fc.constant(2n), fc.bigInt({ min: 0n, max: 2n ** 32n })),
    );
    fc.assert(
      fc.property(roots, arcs, (root, rest) => {
        const value = [...root, ...rest].join('.');
        expect(decodeDer(der.oid(value), (element) => element.oid())).toEqual({ ok: true, value });
      }),
    );
  });

  test('every time to the second comes back', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62135596800, max: 253402300799 }), (seconds) => {
        const value = seconds * 1000;
        expect(decodeDer(der.time(value), (root) => root.time())).toEqual({ ok: true, value });
      }),
    );
  });

  test('named bits come back', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 20 })), (bits) => {
        const result = decodeDer(der.namedBits(...bits), (root) => [...root.namedBits()]);
        expect(result).toEqual({ ok: true, value: bits.sort((a, b) => a - b) });
      }),
    );
  });

  test('an accepted tree has exactly one encoding', () => {
    const rebuild = (element: DerElement): Uint8Array => {
      const identifier = element.bytes[0]!;
      return element.constructed
        ? der.element(identifier, ...insideOf(element).map(rebuild))
        : der.element(identifier, element.content);
    };
    const insideOf = (element: DerElement): DerElement[] =>
      element.isUniversal(DerTag.set) ? element.setOf((e) => e) : element.sequenceOf((e) => e);
    const leaf = fc.oneof(
      fc.bigInt().map(der.integer),
      fc.uint8Array({ maxLength: 300 }).map((b) => der.octetString(b)),
      fc.boolean().map(der.boolean),
    );
    const { tree } = fc.letrec<{ tree: Uint8Array }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('tree'), { maxLength: 4 }).map((parts) => der.sequence(...parts)),
        fc.array(tie('tree'), { maxLength: 4 }).map((parts) => der.setOf(...parts)),
      ),
    }));
    fc.assert(
      fc.property(tree, (encoded) => {
        const result = decodeDer(encoded, rebuild);
        expect(result.ok && toHex(result.value)).toBe(toHex(encoded));
      }),
    );
  });

  test('arbitrary bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (input) => {
        const result = decodeDer(input, (root) => root.checkTree());
        if (!result.ok) expect(result.error.offset).toBeLessThanOrEqual(input.length);
      }),
      { numRuns: 2_000 },
    );
  });
});
