import fc from 'fast-check';
import { expect, test } from 'vitest';
import { equalSecrets } from './equal-secrets.ts';

test('secrets are equal exactly when their bytes are, whatever their lengths', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      expect(equalSecrets(a, a)).toBe(true);
      expect(equalSecrets(a, b)).toBe(Buffer.from(a).equals(Buffer.from(b)));
    }),
  );
  expect(equalSecrets('abc', new Uint8Array([97, 98, 99]))).toBe(true);
  expect(equalSecrets('', 'a')).toBe(false);
});
