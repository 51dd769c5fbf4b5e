import { describe, expect, test } from 'vitest';
import { createNodeSystem, ulidSource } from './index.ts';

describe('ids', () => {
  test('are ULIDs: this one is pinned', () => {
    const newId = ulidSource(
      () => 1_469_918_176_385,
      (count) => new Uint8Array(count),
    );
    expect(newId()).toBe('01aryz6s410000000000000000');
  });

  test('rise within a millisecond and while the clock is behind', () => {
    const times = [5, 5, 4, 5, 6];
    const newId = ulidSource(
      () => times.shift() ?? 7,
      (count) => new Uint8Array(count).fill(255),
    );
    const made = Array.from({ length: 6 }, newId);
    expect(made.toSorted()).toEqual(made);
    expect(new Set(made).size).toBe(6);
    for (const id of made) expect(id).toMatch(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/);
  });
});

test('the digest is SHA-256 of the UTF-8 bytes', () => {
  expect(createNodeSystem().sha256Hex('abc')).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});
