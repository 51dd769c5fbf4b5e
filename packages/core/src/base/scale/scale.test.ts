import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatBytes, fromHex, toHex } from '../bytes.ts';
import { ByteCursor, reading } from '../cursor/index.ts';
import {
  readCompact,
  readScaleBytes,
  readScaleText,
  readScaleVector,
  writeCompact,
  writeScaleBytes,
  writeScaleText,
} from './index.ts';

function compact(hex: string): unknown {
  const cursor = new ByteCursor(fromHex(hex)!);
  const result = reading(() => readCompact(cursor, 'number'));
  return result.ok ? result.value : result.error.what;
}

test.each([
  ['00', 0],
  ['04', 1],
  ['a8', 42],
  ['1501', 69],
  ['494e', 5010],
  ['feff0300', 65_535],
  ['feffffff', 2 ** 30 - 1],
])('the compact integer %s is %d', (hex, value) => {
  expect(compact(hex)).toBe(value);
  expect(toHex(writeCompact(value))).toBe(hex);
});

test.each([
  ['0100', 'number is longer than it needs to be'],
  ['fd00', 'number is longer than it needs to be'],
  ['02000000', 'number is longer than it needs to be'],
  ['feff0000', 'number is longer than it needs to be'],
  ['03ffffffff', 'number is a big integer'],
  ['01', 'number wants 1 bytes, 0 are left'],
  ['', 'number wants 1 bytes, 0 are left'],
])('the compact integer %s is refused: %s', (hex, what) => {
  expect(compact(hex)).toBe(what);
});

test('every length below 2^30 has one form', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 30 - 1), (value) => {
      const cursor = new ByteCursor(writeCompact(value));
      expect(reading(() => readCompact(cursor, 'n'))).toEqual({ ok: true, value });
      expect(cursor.remaining).toBe(0);
    }),
  );
});

test('byte strings, text and vectors read as written', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.uint8Array())), (entries) => {
      const bytes = concatBytes(
        writeCompact(entries.length),
        ...entries.flatMap(([text, value]) => [writeScaleText(text), writeScaleBytes(value)]),
      );
      const cursor = new ByteCursor(bytes);
      const vector = { what: 'entries', itemBytesMin: 2, itemsMax: 1000 };
      const read = reading(() =>
        readScaleVector(cursor, vector, (item) => [
          readScaleText(item, 'text'),
          readScaleBytes(item, 'bytes'),
        ]),
      );
      expect(read).toEqual({ ok: true, value: entries });
    }),
  );
});

test('a vector that promises more items than can follow is refused before the first is read', () => {
  const cursor = new ByteCursor(concatBytes(writeCompact(1000), new Uint8Array(10)));
  const vector = { what: 'items', itemBytesMin: 1, itemsMax: 1 << 20 };
  let reads = 0;
  const read = reading(() => readScaleVector(cursor, vector, () => (reads += 1)));
  expect(!read.ok && read.error.what).toBe('items declares 1000 items, which do not fit');
  expect(reads).toBe(0);
});

test('text that is not UTF-8 is refused', () => {
  const cursor = new ByteCursor(Uint8Array.of(4, 0xff));
  const read = reading(() => readScaleText(cursor, 'text'));
  expect(!read.ok && read.error.what).toBe('text is not UTF-8');
});
