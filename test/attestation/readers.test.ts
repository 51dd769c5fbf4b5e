/** What every reader promises, whatever the format: no exception, and no allocation by a declared length. */
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { concatBytes, fromHex } from '@postern/core/base';
import { mutate, randomOf } from './mutate.ts';
import { readers } from './readers.ts';

/** Lengths of up to four gigabytes as each format writes them, and as little- and big-endian words. */
const bombs = [
  '84ffffffff',
  '847fffffff',
  '8340ffff',
  '30847fffffff',
  '04847fffffff',
  '0384fffffff0',
  '5affffffff',
  '7affffffff',
  '9affffffff',
  'baffffffff',
  '5b000000ffffffffff',
  '9b0000000fffffffff',
  'c6ffffffff',
  'dbffffffff',
  'ddffffffff',
  'dfffffffff',
  'dd7fffffff',
  'c5ffff',
  'feffffff',
  'fefffffe',
  '03ffffffff',
  '13ffffffffffffffff',
  'ffffffff',
  'ffffff7f',
  '7fffffff',
  '00000080',
  '80000000',
  'ffff',
  'ffffffffffffffff',
].map((hex) => fromHex(hex) ?? new Uint8Array());

/** The largest input here has some 25 kB; nothing that is read may need more than a few copies of it. */
const allocationMax = 1 << 20;
const grownMax = 64 << 20;

interface Watched {
  readonly largest: number;
  readonly grown: number;
}

/** Runs with every buffer of a stated size seen. Readers look the constructors up when they run. */
function watched(run: () => void): Watched {
  const { Uint8Array: Bytes, ArrayBuffer: Plain, Array: List } = globalThis;
  let largest = 0;
  const seen = <T extends object>(constructor: T): T =>
    new Proxy(constructor, {
      construct: (target, args: unknown[], base) => {
        if (args.length > 0 && typeof args[0] === 'number') largest = Math.max(largest, args[0]);
        if (largest > allocationMax) throw new Error(`${String(args[0])} bytes are allocated`);
        // The proxied constructors are functions; Reflect wants to be told.
        return Reflect.construct(target as unknown as new () => object, args, base) as object;
      },
    });
  const before = memory();
  globalThis.Uint8Array = seen(Bytes);
  globalThis.ArrayBuffer = seen(Plain);
  globalThis.Array = seen(List);
  try {
    run();
  } finally {
    globalThis.Uint8Array = Bytes;
    globalThis.ArrayBuffer = Plain;
    globalThis.Array = List;
  }
  return { largest, grown: memory() - before };
}

function memory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe.each(readers)('$name', ({ seeds, read }) => {
  test('reads the inputs that the other tests damage', () => {
    expect(seeds.map(read)).toEqual(seeds.map(() => true));
  });

  test('a declared length never allocates, wherever it stands', () => {
    const inputs: Uint8Array[] = [...bombs];
    for (const input of seeds) {
      // Heads hold most lengths: every offset there, then a sample of the rest.
      const step = Math.max(1, Math.floor(input.length / 64));
      const offsets = new Set<number>();
      for (let at = 0; at < Math.min(96, input.length); at += 1) offsets.add(at);
      for (let at = 96; at < input.length; at += step) offsets.add(at);
      for (const at of offsets) {
        const bomb = bombs[at % bombs.length] ?? new Uint8Array();
        const next = bombs[(at + 7) % bombs.length] ?? new Uint8Array();
        for (const each of [bomb, next]) {
          const overwritten = input.slice(0, Math.max(input.length, at + each.length));
          overwritten.set(each.subarray(0, overwritten.length - at), at);
          inputs.push(overwritten);
          inputs.push(concatBytes(input.subarray(0, at), each));
        }
      }
    }
    const { largest, grown } = watched(() => {
      for (const input of inputs) read(input);
    });
    expect(largest).toBeLessThanOrEqual(allocationMax);
    expect(grown).toBeLessThan(grownMax);
  });

  test('a few hundred damaged inputs are read or refused', () => {
    const random = randomOf(7);
    for (let round = 0; round < 300; round += 1) {
      const input = mutate(seeds[round % seeds.length] ?? new Uint8Array(), random);
      expect(() => read(input)).not.toThrow();
    }
  });
});

test('the watch sees an allocation by a declared length', () => {
  expect(() => watched(() => new Uint8Array(2 << 20))).toThrow('are allocated');
});
