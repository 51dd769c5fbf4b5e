import { assert } from '../assert.ts';
import { concatBytes, utf8 } from '../bytes.ts';
import type { MsgpackValue } from './read.ts';

/** The bytes of a value with shortest heads; map entries in the order that the map holds them. */
export function writeMsgpack(value: MsgpackValue): Uint8Array {
  if (value === null) return Uint8Array.of(0xc0);
  if (typeof value === 'boolean') return Uint8Array.of(value ? 0xc3 : 0xc2);
  if (typeof value === 'number' || typeof value === 'bigint') return integer(BigInt(value));
  if (typeof value === 'string') {
    const bytes = utf8(value);
    const head =
      bytes.length < 32
        ? Uint8Array.of(0xa0 | bytes.length)
        : sized(bytes.length, { first: 0xd9, widths: [1, 2, 4] });
    return concatBytes(head, bytes);
  }
  if (value instanceof Uint8Array) {
    return concatBytes(sized(value.length, { first: 0xc4, widths: [1, 2, 4] }), value);
  }
  if (value instanceof Map) {
    const size = value.size;
    const parts = [
      size < 16 ? Uint8Array.of(0x80 | size) : sized(size, { first: 0xde, widths: [2, 4] }),
    ];
    for (const [key, item] of value) parts.push(writeMsgpack(key), writeMsgpack(item));
    return concatBytes(...parts);
  }
  // TypeScript does not narrow a readonly array by Array.isArray; nothing else is left here.
  const items = value as readonly MsgpackValue[];
  const size = items.length;
  return concatBytes(
    size < 16 ? Uint8Array.of(0x90 | size) : sized(size, { first: 0xdc, widths: [2, 4] }),
    ...items.map(writeMsgpack),
  );
}

function integer(value: bigint): Uint8Array {
  if (value >= 0n) {
    if (value < 0x80n) return Uint8Array.of(Number(value));
    if (value < 0x100n) return bigEndian(0xcc, value, 1);
    if (value < 0x1_0000n) return bigEndian(0xcd, value, 2);
    if (value < 0x1_0000_0000n) return bigEndian(0xce, value, 4);
    return bigEndian(0xcf, value, 8);
  }
  if (value >= -32n) return Uint8Array.of(Number(value) & 255);
  if (value >= -0x80n) return bigEndian(0xd0, value, 1);
  if (value >= -0x8000n) return bigEndian(0xd1, value, 2);
  if (value >= -0x8000_0000n) return bigEndian(0xd2, value, 4);
  return bigEndian(0xd3, value, 8);
}

function sized(
  length: number,
  form: { readonly first: number; readonly widths: readonly number[] },
): Uint8Array {
  const index = form.widths.findIndex((width) => length < 2 ** (8 * width));
  const width = form.widths[index];
  assert(width !== undefined, 'a length below 2^32');
  return bigEndian(form.first + index, BigInt(length), width);
}

function bigEndian(first: number, value: bigint, width: number): Uint8Array {
  const bytes = new Uint8Array(1 + width);
  bytes[0] = first;
  for (let i = 0; i < width; i += 1) {
    bytes[1 + i] = Number((value >> BigInt(8 * (width - 1 - i))) & 0xffn);
  }
  return bytes;
}
