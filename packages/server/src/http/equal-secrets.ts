import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Compares two secrets in time that depends on neither. Both are hashed first: `timingSafeEqual` throws on unequal
 * lengths, and a length check before it would tell the length.
 */
export function equalSecrets(a: string | Uint8Array, b: string | Uint8Array): boolean {
  const digest = (value: string | Uint8Array): Buffer =>
    createHash('sha256').update(value).digest();
  return timingSafeEqual(digest(a), digest(b));
}
