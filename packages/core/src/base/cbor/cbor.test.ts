import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../bytes.ts';
import { CborTag, cborLimits, readCbor, writeCbor } from './index.ts';
import type { CborLimits, CborValue } from './index.ts';

function read(hex: string, limits: Partial<CborLimits> = {}): unknown {
  const result = readCbor(fromHex(hex)!, { ...cborLimits, ...limits });
  return result.ok ? result.value : result.error.what;
}

describe('the examples of RFC 8949 appendix A', () => {
  test.each([
    ['00', 0],
    ['17', 23],
    ['1818', 24],
    ['1903e8', 1000],
    ['1a000f4240', 1_000_000],
    ['1b000000e8d4a51000', 1_000_000_000_000],
    ['1bffffffffffffffff', 18446744073709551615n],
    ['20', -1],
    ['3863', -100],
    ['3bffffffffffffffff', -18446744073709551616n],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['f7', undefined],
    ['40', new Uint8Array()],
    ['4401020304', Uint8Array.of(1, 2, 3, 4)],
    ['60', ''],
    ['62c3bc', 'ü'],
    ['80', []],
    ['83010203', [1, 2, 3]],
    [
      'a201020304',
      new Map([
        [1, 2],
        [3, 4],
      ]),
    ],
    [
      'a26161016162820203',
      new Map<string, unknown>([
        ['a', 1],
        ['b', [2, 3]],
      ]),
    ],
    ['c074323031332d30332d32315432303a30343a30305a', new CborTag(0, '2013-03-21T20:04:00Z')],
  ])('%s reads as its value and writes back', (hex, value) => {
    expect(read(hex)).toEqual(value);
    const again = readCbor(fromHex(hex)!);
    expect(again.ok && toHex(writeCbor(again.value))).toBe(hex);
  });
});

describe('what strict reading refuses', () => {
  test.each([
    ['1817', 'argument is longer than it needs to be'],
    ['190018', 'argument is longer than it needs to be'],
    ['1a00000100', 'argument is longer than it needs to be'],
    ['1b0000000000000001', 'argument is longer than it needs to be'],
    ['5f41004100ff', 'indefinite length'],
    ['9f01ff', 'indefinite length'],
    ['bf6161019fff', 'indefinite length'],
    ['ff', 'simple value or floating point outside the profile'],
    ['f97e00', 'simple value or floating point outside the profile'],
    ['f0', 'simple value or floating point outside the profile'],
    ['1c', 'reserved additional information'],
    ['0000', '1 bytes follow the data item'],
    ['', 'initial byte wants 1 bytes, 0 are left'],
    ['61ff', 'text string is not UTF-8'],
    ['a2010101', 'map key appears twice'],
    ['a2010201', 'map key appears twice'],
    ['a14101', 'map key is neither text nor integer'],
  ])('%s: %s', (hex, what) => {
    expect(read(hex)).toBe(what);
  });

  test('a declared length costs nothing: eight bytes that promise an exabyte are refused at once', () => {
    for (const head of ['5b', '7b', '9b', 'bb']) {
      expect(read(`${head}0fffffffffffffff`)).toBe('longer than what is left');
    }
  });

  test('nesting and item count are bounded', () => {
    expect(read('81'.repeat(17) + '00')).toBe('deeper than 16');
    expect(read(`83${'00'.repeat(3)}`, { itemsMax: 3 })).toBe('more than 3 items');
    expect(read('00', { bytesMax: 0 })).toBe('more than 0 bytes');
  });

  test('indefinite containers are read only where the profile has them, strings never', () => {
    const limits = { allowsIndefinite: true };
    expect(read('9f0102ff', limits)).toEqual([1, 2]);
    expect(read('bf616101ff', limits)).toEqual(new Map([['a', 1]]));
    expect(read('9f01', limits)).toBe('initial byte wants 1 bytes, 0 are left');
    expect(read('bf6161ff', limits)).toBe('simple value or floating point outside the profile');
    expect(read('5f4100ff', limits)).toBe('indefinite length');
  });
});

const scalar = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
  fc.string(),
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(true, false, null, undefined),
);
const { value: anyValue } = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    scalar,
    fc.array(tie('value'), { maxLength: 5 }),
    fc
      .array(fc.tuple(fc.oneof(fc.string(), fc.maxSafeInteger()), tie('value')), { maxLength: 5 })
      .map((entries) => new Map(entries)),
  ),
}));

test('what is written is read as it was', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const result = readCbor(writeCbor(value), { ...cborLimits, depthMax: 32 });
      expect(result.ok && result.value).toEqual(value);
    }),
  );
});

test('bytes that read at all are the bytes that their value writes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      const result = readCbor(bytes);
      if (result.ok) expect(toHex(writeCbor(result.value))).toBe(toHex(bytes));
    }),
    { numRuns: 3000 },
  );
});
