import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { keccak256, sponge256 } from './keccak.ts';

test('keccak-256 of nothing and of "abc" are the published digests', () => {
  const hex = (text: string): string =>
    Buffer.from(keccak256(new TextEncoder().encode(text))).toString('hex');
  expect(hex('')).toBe('c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470');
  expect(hex('abc')).toBe('4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45');
});

test('with the padding of FIPS 202 the sponge equals the SHA3-256 of OpenSSL at every length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const theirs = createHash('sha3-256').update(bytes).digest('hex');
      expect(Buffer.from(sponge256(bytes, 0x06)).toString('hex')).toBe(theirs);
    }),
    { numRuns: 60 },
  );
});
