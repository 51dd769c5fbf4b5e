import { utf8Text } from '../bytes.ts';
import { ByteCursor, reading } from '../cursor/index.ts';
import type { Malformed } from '../cursor/index.ts';
import type { Result } from '../result.ts';

/** Integers beyond 2^53 are bigints; the rest are numbers. */
export type MsgpackValue =
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array
  | readonly MsgpackValue[]
  | MsgpackMap;
export type MsgpackMap = ReadonlyMap<string, MsgpackValue>;

export interface MsgpackLimits {
  /** Bytes of the whole document. */
  readonly bytesMax: number;
  /** Containers inside containers. */
  readonly depthMax: number;
  /** Values of any kind: bytes may come as arrays of integers, so this is near the size limit. */
  readonly itemsMax: number;
}

/** dstack's own bound on an attestation is 10 MiB; depth 6 is what its schema needs. */
export const msgpackLimits: MsgpackLimits = {
  bytesMax: 10 << 20,
  depthMax: 16,
  itemsMax: 1 << 20,
};

/** The one value that the bytes hold. */
export function readMsgpack(
  bytes: Uint8Array,
  limits: MsgpackLimits = msgpackLimits,
): Result<MsgpackValue, Malformed> {
  return reading(() => {
    const cursor = new ByteCursor(bytes);
    if (bytes.length > limits.bytesMax) cursor.fail(`more than ${limits.bytesMax} bytes`);
    const value = new MsgpackReader(cursor, limits).value(0);
    cursor.end('the value');
    return value;
  });
}

class MsgpackReader {
  readonly #cursor: ByteCursor;
  readonly #limits: MsgpackLimits;
  #items = 0;

  constructor(cursor: ByteCursor, limits: MsgpackLimits) {
    this.#cursor = cursor;
    this.#limits = limits;
  }

  value(depth: number): MsgpackValue {
    const cursor = this.#cursor;
    if (depth > this.#limits.depthMax) cursor.fail(`deeper than ${this.#limits.depthMax}`);
    this.#items += 1;
    if (this.#items > this.#limits.itemsMax) {
      cursor.fail(`more than ${this.#limits.itemsMax} values`);
    }
    const first = cursor.u8('first byte');
    if (first < 0x80) return first;
    if (first < 0x90) return this.#map(first & 15, depth);
    if (first < 0xa0) return this.#array(first & 15, depth);
    if (first < 0xc0) return this.#text(first & 31);
    if (first >= 0xe0) return first - 0x100;
    if (first === 0xc0) return null;
    if (first === 0xc2) return false;
    if (first === 0xc3) return true;
    if (first >= 0xcc && first <= 0xd3) return this.#integer(first);
    return this.#sized(first, depth);
  }

  #sized(first: number, depth: number): MsgpackValue {
    switch (first) {
      case 0xc4:
        return this.#bytes(this.#cursor.u8('length'));
      case 0xc5:
        return this.#bytes(this.#atLeast(this.#cursor.u16be('length'), 0x100));
      case 0xc6:
        return this.#bytes(this.#atLeast(this.#cursor.u32be('length'), 0x1_0000));
      case 0xd9:
        return this.#text(this.#atLeast(this.#cursor.u8('length'), 32));
      case 0xda:
        return this.#text(this.#atLeast(this.#cursor.u16be('length'), 0x100));
      case 0xdb:
        return this.#text(this.#atLeast(this.#cursor.u32be('length'), 0x1_0000));
      case 0xdc:
        return this.#array(this.#atLeast(this.#cursor.u16be('length'), 16), depth);
      case 0xdd:
        return this.#array(this.#atLeast(this.#cursor.u32be('length'), 0x1_0000), depth);
      case 0xde:
        return this.#map(this.#atLeast(this.#cursor.u16be('length'), 16), depth);
      case 0xdf:
        return this.#map(this.#atLeast(this.#cursor.u32be('length'), 0x1_0000), depth);
      default:
        return this.#cursor.fail('type outside the profile');
    }
  }

  #integer(first: number): number | bigint {
    const cursor = this.#cursor;
    switch (first) {
      case 0xcc:
        return this.#atLeast(cursor.u8('integer'), 0x80);
      case 0xcd:
        return this.#atLeast(cursor.u16be('integer'), 0x100);
      case 0xce:
        return this.#atLeast(cursor.u32be('integer'), 0x1_0000);
      case 0xcf: {
        const value = cursor.u64be('integer');
        if (value < 0x1_0000_0000n) cursor.fail(longForm);
        return narrow(value);
      }
      case 0xd0:
        return this.#below((cursor.u8('integer') << 24) >> 24, -32);
      case 0xd1:
        return this.#below((cursor.u16be('integer') << 16) >> 16, -0x80);
      case 0xd2:
        return this.#below(cursor.u32be('integer') | 0, -0x8000);
      default: {
        const value = BigInt.asIntN(64, cursor.u64be('integer'));
        if (value >= -0x8000_0000n) cursor.fail(longForm);
        return narrow(value);
      }
    }
  }

  #atLeast(value: number, least: number): number {
    return value < least ? this.#cursor.fail(longForm) : value;
  }

  #below(value: number, bound: number): number {
    return value >= bound ? this.#cursor.fail(longForm) : value;
  }

  #bytes(length: number): Uint8Array {
    return this.#cursor.take(length, 'binary');
  }

  #text(length: number): string {
    return utf8Text(this.#cursor.take(length, 'text')) ?? this.#cursor.fail('text is not UTF-8');
  }

  #array(length: number, depth: number): readonly MsgpackValue[] {
    if (length > this.#cursor.remaining) this.#cursor.fail('array is longer than what is left');
    const items: MsgpackValue[] = [];
    for (let i = 0; i < length; i += 1) items.push(this.value(depth + 1));
    return items;
  }

  #map(length: number, depth: number): MsgpackMap {
    if (2 * length > this.#cursor.remaining) this.#cursor.fail('map is longer than what is left');
    const entries = new Map<string, MsgpackValue>();
    for (let i = 0; i < length; i += 1) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string') return this.#cursor.fail('map key is not text');
      if (entries.has(key)) this.#cursor.fail('map key appears twice');
      entries.set(key, this.value(depth + 1));
    }
    return entries;
  }
}

const longForm = 'a number or length is longer than it needs to be';

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
