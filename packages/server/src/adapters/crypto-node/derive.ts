import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { SignatureHash } from '@postern/core/attest/x509';

const hashBytes: Readonly<Record<SignatureHash, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/** RFC 5869. Undefined where more than 255 blocks are asked for, or nothing. */
export function hkdf(input: {
  readonly hash: SignatureHash;
  readonly secret: Uint8Array;
  readonly salt: Uint8Array;
  readonly info: Uint8Array;
  readonly lengthBytes: number;
}): Uint8Array | undefined {
  const { hash, secret, salt, info, lengthBytes } = input;
  if (lengthBytes < 1 || lengthBytes > 255 * hashBytes[hash]) return undefined;
  return new Uint8Array(hkdfSync(hash, secret, salt, info, lengthBytes));
}

export function hmac(hash: SignatureHash, key: Uint8Array, message: Uint8Array): Uint8Array {
  return createHmac(hash, key).update(message).digest();
}

/** Whether a tag is the first bytes of the right one, compared in constant time. */
export function isHmac(input: {
  readonly hash: SignatureHash;
  readonly key: Uint8Array;
  readonly message: Uint8Array;
  readonly tag: Uint8Array;
  /** What the protocol says, so that a sender cannot shorten it; at least half of the hash. */
  readonly tagBytes: number;
}): boolean {
  const { hash, key, message, tag, tagBytes } = input;
  if (tagBytes < hashBytes[hash] / 2 || tag.length !== tagBytes) return false;
  return timingSafeEqual(hmac(hash, key, message).subarray(0, tagBytes), tag);
}
