import { concatBytes, utf8 } from '../bytes.ts';
import { CborTag } from './read.ts';
import type { CborValue } from './read.ts';

/** The bytes of a value with shortest heads; map entries in the order that the map holds them. */
export function writeCbor(value: CborValue): Uint8Array {
  if (typeof value === 'number' || typeof value === 'bigint') {
    const whole = BigInt(value);
    return whole >= 0n ? head(0, whole) : head(1, -1n - whole);
  }
  if (typeof value === 'string') return prefixed(3, utf8(value));
  if (value instanceof Uint8Array) return prefixed(2, value);
  if (value === false) return Uint8Array.of(0xf4);
  if (value === true) return Uint8Array.of(0xf5);
  if (value === null) return Uint8Array.of(0xf6);
  if (value === undefined) return Uint8Array.of(0xf7);
  if (value instanceof CborTag)
    return concatBytes(head(6, BigInt(value.tag)), writeCbor(value.value));
  if (value instanceof Map) {
    const parts = [head(5, BigInt(value.size))];
    for (const [key, item] of value) parts.push(writeCbor(key), writeCbor(item));
    return concatBytes(...parts);
  }
  // TypeScript does not narrow a readonly array by Array.isArray; nothing else is left here.
  const items = value as readonly CborValue[];
  return concatBytes(head(4, BigInt(items.length)), ...items.map(writeCbor));
}

function prefixed(major: number, bytes: Uint8Array): Uint8Array {
  return concatBytes(head(major, BigInt(bytes.length)), bytes);
}

function head(major: number, argument: bigint): Uint8Array {
  const top = major << 5;
  if (argument < 24n) return Uint8Array.of(top | Number(argument));
  const width =
    argument < 0x100n ? 1 : argument < 0x1_0000n ? 2 : argument < 0x1_0000_0000n ? 4 : 8;
  const bytes = new Uint8Array(1 + width);
  bytes[0] = top | (24 + Math.log2(width));
  for (let i = 0; i < width; i += 1) {
    bytes[1 + i] = Number((argument >> BigInt(8 * (width - 1 - i))) & 0xffn);
  }
  return bytes;
}
