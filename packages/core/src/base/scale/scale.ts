import { concatBytes, utf8, utf8Text } from '../bytes.ts';
import { Fault } from '../assert.ts';
import type { ByteCursor } from '../cursor/index.ts';

/** A compact integer below 2^30. Longer than needed is refused: one number, one form. */
export function readCompact(cursor: ByteCursor, what: string): number {
  const first = cursor.u8(what);
  const mode = first & 3;
  if (mode === 0) return first >> 2;
  if (mode === 1) {
    const value = (first >> 2) | (cursor.u8(what) << 6);
    return value < 64 ? cursor.fail(`${what} is longer than it needs to be`) : value;
  }
  if (mode === 2) {
    const value = (first >>> 2) + cursor.u8(what) * 2 ** 6 + cursor.u16le(what) * 2 ** 14;
    return value < 2 ** 14 ? cursor.fail(`${what} is longer than it needs to be`) : value;
  }
  return cursor.fail(`${what} is a big integer`);
}

export function readScaleBytes(cursor: ByteCursor, what: string): Uint8Array {
  return cursor.take(readCompact(cursor, what), what);
}

export function readScaleText(cursor: ByteCursor, what: string): string {
  return utf8Text(readScaleBytes(cursor, what)) ?? cursor.fail(`${what} is not UTF-8`);
}

/** A vector of items, each at least `itemBytesMin` long, so that a count cannot outgrow the input. */
export function readScaleVector<T>(
  cursor: ByteCursor,
  vector: { readonly what: string; readonly itemBytesMin: number; readonly itemsMax: number },
  readItem: (cursor: ByteCursor) => T,
): readonly T[] {
  const count = readCompact(cursor, vector.what);
  if (count > vector.itemsMax) cursor.fail(`${vector.what} has more than ${vector.itemsMax} items`);
  if (count * vector.itemBytesMin > cursor.remaining) {
    cursor.fail(`${vector.what} declares ${count} items, which do not fit`);
  }
  const items: T[] = [];
  for (let i = 0; i < count; i += 1) items.push(readItem(cursor));
  return items;
}

export function writeCompact(value: number): Uint8Array {
  if (value < 64) return Uint8Array.of(value << 2);
  if (value < 2 ** 14) return Uint8Array.of(((value & 63) << 2) | 1, value >> 6);
  if (value < 2 ** 30) {
    const mixed = value * 4 + 2;
    return Uint8Array.of(mixed & 255, (mixed >>> 8) & 255, (mixed >>> 16) & 255, mixed >>> 24);
  }
  throw new Fault(`a compact integer of ${value}`);
}

export function writeScaleBytes(bytes: Uint8Array): Uint8Array {
  return concatBytes(writeCompact(bytes.length), bytes);
}

export function writeScaleText(text: string): Uint8Array {
  return writeScaleBytes(utf8(text));
}
