import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../bytes.ts';
import { msgpackLimits, readMsgpack, writeMsgpack } from './index.ts';
import type { MsgpackLimits, MsgpackValue } from './index.ts';

function read(hex: string, limits: Partial<MsgpackLimits> = {}): unknown {
  const result = readMsgpack(fromHex(hex)!, { ...msgpackLimits, ...limits });
  return result.ok ? result.value : result.error.what;
}

test.each([
  ['00', 0],
  ['7f', 127],
  ['cc80', 128],
  ['cd0100', 256],
  ['ce00010000', 65_536],
  ['cf0000000100000000', 4_294_967_296],
  ['cfffffffffffffffff', 18446744073709551615n],
  ['ff', -1],
  ['e0', -32],
  ['d0df', -33],
  ['d1ff7f', -129],
  ['d2ffff7fff', -32_769],
  ['d3ffffffff7fffffff', -2_147_483_649],
  ['c0', null],
  ['c2', false],
  ['c3', true],
  ['a161', 'a'],
  ['c403010203', Uint8Array.of(1, 2, 3)],
  ['93010203', [1, 2, 3]],
  [
    '82a16101a16202',
    new Map([
      ['a', 1],
      ['b', 2],
    ]),
  ],
])('%s reads as its value and writes back', (hex, value) => {
  expect(read(hex)).toEqual(value);
  const result = readMsgpack(fromHex(hex)!);
  expect(result.ok && toHex(writeMsgpack(result.value))).toBe(hex);
});

describe('what strict reading refuses', () => {
  const long = 'a number or length is longer than it needs to be';
  test.each([
    ['cc7f', long],
    ['cd00ff', long],
    ['ce0000ffff', long],
    ['cf00000000ffffffff', long],
    ['d0e0', long],
    ['d1ff80', long],
    ['d2ffff8000', long],
    ['d3ffffffff80000000', long],
    ['d901ff', long],
    ['c5000100', long],
    ['dc000100', long],
    ['de0000', long],
    ['c1', 'type outside the profile'],
    ['ca00000000', 'type outside the profile'],
    ['c70100ff', 'type outside the profile'],
    ['d40000', 'type outside the profile'],
    ['0000', '1 bytes follow the value'],
    ['a1ff', 'text is not UTF-8'],
    ['810101', 'map key is not text'],
    ['82a16101a16102', 'map key appears twice'],
    ['', 'first byte wants 1 bytes, 0 are left'],
  ])('%s: %s', (hex, what) => {
    expect(read(hex)).toBe(what);
  });

  test('a declared length costs nothing', () => {
    expect(read('dd7fffffff')).toBe('array is longer than what is left');
    expect(read('df7fffffff')).toBe('map is longer than what is left');
    expect(read('c67fffffff')).toBe('binary wants 2147483647 bytes, 0 are left');
  });

  test('nesting and value count are bounded', () => {
    expect(read(`${'91'.repeat(17)}00`)).toBe('deeper than 16');
    expect(read('9300', { itemsMax: 1 })).toBe('array is longer than what is left');
    expect(read('93000000', { itemsMax: 3 })).toBe('more than 3 values');
  });
});

const scalar = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
  fc.string(),
  fc.uint8Array({ maxLength: 300 }),
  fc.constantFrom(true, false, null),
);
const { value: anyValue } = fc.letrec<{ value: MsgpackValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie('value'), { maxLength: 20 }),
    fc
      .array(fc.tuple(fc.string(), tie('value')), { maxLength: 20 })
      .map((entries) => new Map(entries)),
  ),
}));

test('what is written is read as it was', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const result = readMsgpack(writeMsgpack(value));
      expect(result.ok && result.value).toEqual(value);
    }),
  );
});

test('bytes that read at all are the bytes that their value writes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      const result = readMsgpack(bytes);
      if (result.ok) expect(toHex(writeMsgpack(result.value))).toBe(toHex(bytes));
    }),
    { numRuns: 3000 },
  );
});
