import { expect, test } from 'vitest';
import { joinBytes } from './join-bytes.ts';

test('as many pieces as an upstream likes are put together', () => {
  const pieces = Array.from({ length: 300_000 }, (_, index) => Uint8Array.of(index & 0xff));
  const whole = joinBytes(pieces);
  expect(whole.length).toBe(300_000);
  expect([whole[0], whole[257], whole[299_999]]).toEqual([0, 1, 299_999 & 0xff]);
  expect(joinBytes([])).toEqual(new Uint8Array(0));
});

test('one piece is given as it is', () => {
  const piece = Uint8Array.of(1, 2);
  expect(joinBytes([piece])).toBe(piece);
});
