import { utf8Text } from '../bytes.ts';
import { ByteCursor, reading } from '../cursor/index.ts';
import type { Malformed } from '../cursor/index.ts';
import type { Result } from '../result.ts';

/** Integers beyond 2^53 are bigints; the rest are numbers. */
export type CborInteger = number | bigint;
export type CborKey = string | CborInteger;
export type CborValue =
  | CborInteger
  | string
  | boolean
  | null
  | undefined
  | Uint8Array
  | readonly CborValue[]
  | CborMap
  | CborTag;
export type CborMap = ReadonlyMap<CborKey, CborValue>;

export class CborTag {
  readonly tag: CborInteger;
  readonly value: CborValue;

  constructor(tag: CborInteger, value: CborValue) {
    this.tag = tag;
    this.value = value;
  }
}

export interface CborLimits {
  /** Bytes of the whole document. */
  readonly bytesMax: number;
  /** Containers inside containers. */
  readonly depthMax: number;
  /** Data items of any kind: bounds work that many tiny items would cause. */
  readonly itemsMax: number;
  /**
   * Arrays and maps may end by a break instead of a count (strings never). The Nitro Security Module writes
   * its documents so; everything else has a count.
   */
  readonly allowsIndefinite: boolean;
}

/** Room for a Nitro document (about 5 kB, depth 3) several times over. */
export const cborLimits: CborLimits = {
  bytesMax: 1 << 20,
  depthMax: 16,
  itemsMax: 65_536,
  allowsIndefinite: false,
};

const breakByte = 0xff;
const indefinite = 31;

/** The one data item that the bytes hold. */
export function readCbor(
  bytes: Uint8Array,
  limits: CborLimits = cborLimits,
): Result<CborValue, Malformed> {
  return reading(() => {
    const cursor = new ByteCursor(bytes);
    if (bytes.length > limits.bytesMax) cursor.fail(`more than ${limits.bytesMax} bytes`);
    const value = new CborReader(cursor, limits).item(0);
    cursor.end('the data item');
    return value;
  });
}

class CborReader {
  readonly #cursor: ByteCursor;
  readonly #limits: CborLimits;
  #items = 0;

  constructor(cursor: ByteCursor, limits: CborLimits) {
    this.#cursor = cursor;
    this.#limits = limits;
  }

  item(depth: number): CborValue {
    const cursor = this.#cursor;
    if (depth > this.#limits.depthMax) cursor.fail(`deeper than ${this.#limits.depthMax}`);
    this.#items += 1;
    if (this.#items > this.#limits.itemsMax) {
      cursor.fail(`more than ${this.#limits.itemsMax} items`);
    }
    const first = cursor.u8('initial byte');
    const info = first & 31;
    switch (first >> 5) {
      case 0:
        return integer(this.#argument(info));
      case 1:
        return integer(-1n - this.#argument(info));
      case 2:
        return cursor.take(this.#length(info), 'byte string');
      case 3:
        return this.#text(info);
      case 4:
        return this.#array(info, depth);
      case 5:
        return this.#map(info, depth);
      case 6:
        return new CborTag(integer(this.#argument(info)), this.item(depth + 1));
      default:
        return this.#simple(info);
    }
  }

  #argument(info: number): bigint {
    const cursor = this.#cursor;
    if (info < 24) return BigInt(info);
    if (info === 24) return this.#minimal(BigInt(cursor.u8('argument')), 24n);
    if (info === 25) return this.#minimal(BigInt(cursor.u16be('argument')), 0x100n);
    if (info === 26) return this.#minimal(BigInt(cursor.u32be('argument')), 0x1_0000n);
    if (info === 27) return this.#minimal(cursor.u64be('argument'), 0x1_0000_0000n);
    return cursor.fail(
      info === indefinite ? 'indefinite length' : 'reserved additional information',
    );
  }

  #minimal(value: bigint, least: bigint): bigint {
    return value < least ? this.#cursor.fail('argument is longer than it needs to be') : value;
  }

  #length(info: number): number {
    const length = this.#argument(info);
    if (length > BigInt(this.#cursor.remaining)) this.#cursor.fail('longer than what is left');
    return Number(length);
  }

  #text(info: number): string {
    const text = utf8Text(this.#cursor.take(this.#length(info), 'text string'));
    return text ?? this.#cursor.fail('text string is not UTF-8');
  }

  #array(info: number, depth: number): readonly CborValue[] {
    const items: CborValue[] = [];
    this.#each(info, () => items.push(this.item(depth + 1)));
    return items;
  }

  #map(info: number, depth: number): CborMap {
    const entries = new Map<CborKey, CborValue>();
    this.#each(info, () => {
      const key = this.item(depth + 1);
      if (typeof key !== 'string' && typeof key !== 'number' && typeof key !== 'bigint') {
        return this.#cursor.fail('map key is neither text nor integer');
      }
      if (entries.has(key)) this.#cursor.fail('map key appears twice');
      return entries.set(key, this.item(depth + 1));
    });
    return entries;
  }

  /** Runs once for every element that the head declares, or until the break. */
  #each(info: number, read: () => void): void {
    if (info === indefinite && this.#limits.allowsIndefinite) {
      while (!this.#cursor.skip(breakByte)) read();
      return;
    }
    const length = this.#length(info);
    for (let i = 0; i < length; i += 1) read();
  }

  #simple(info: number): CborValue {
    if (info === 20) return false;
    if (info === 21) return true;
    if (info === 22) return null;
    if (info === 23) return undefined;
    return this.#cursor.fail('simple value or floating point outside the profile');
  }
}

function integer(value: bigint): CborInteger {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
