import type { KeyObject } from 'node:crypto';
import { createCipheriv, createDecipheriv } from 'node:crypto';

/** Length of a ChaCha20-Poly1305 tag. */
export const tagBytes = 16;
/** Length of a ChaCha20-Poly1305 nonce. */
export const nonceBytes = 12;

const cipherName = 'chacha20-poly1305';

/** Ciphertext and tag. */
export function seal(
  key: Uint8Array | KeyObject,
  nonce: Uint8Array,
  ad: Uint8Array,
  plaintext: Uint8Array,
): Buffer {
  const cipher = createCipheriv(cipherName, key, nonce, { authTagLength: tagBytes });
  if (ad.length > 0) cipher.setAAD(ad, { plaintextLength: plaintext.length });
  const body = cipher.update(plaintext);
  cipher.final();
  return Buffer.concat([body, cipher.getAuthTag()]);
}

/** The plaintext; undefined where the tag is wrong or missing. */
export function open(
  key: Uint8Array | KeyObject,
  nonce: Uint8Array,
  ad: Uint8Array,
  sealed: Uint8Array,
): Buffer | undefined {
  if (sealed.length < tagBytes) return undefined;
  const bodyLength = sealed.length - tagBytes;
  const decipher = createDecipheriv(cipherName, key, nonce, { authTagLength: tagBytes });
  if (ad.length > 0) decipher.setAAD(ad, { plaintextLength: bodyLength });
  decipher.setAuthTag(sealed.subarray(bodyLength));
  const plaintext = decipher.update(sealed.subarray(0, bodyLength));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plaintext;
}
