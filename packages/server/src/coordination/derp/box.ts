import { concatBytes } from '@postern/core/base';
import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { type KeyPair, sharedSecret } from '../noise/index.ts';

/** NaCl `crypto_box` as DERP uses it: nonce, tag, ciphertext. */

export const nonceBytes = 24;
const tagBytes = 16;
/** "expand 32-byte k" as little-endian words. */
const sigma = Uint32Array.of(0x61_70_78_65, 0x33_20_64_6e, 0x79_62_2d_32, 0x6b_20_65_74);

/** The key that two parties share; undefined where the public key is of low order and proves nothing. */
export function boxKey(own: KeyPair, theirPublic: Uint8Array): Uint8Array | undefined {
  const shared = sharedSecret(own, theirPublic);
  if (shared === undefined) return undefined;
  const out = new Uint32Array(8);
  hsalsa(sigma, words(shared), new Uint32Array(4), out);
  const key = new Uint8Array(32);
  const view = new DataView(key.buffer);
  for (const [i, word] of out.entries()) view.setUint32(4 * i, word, true);
  return key;
}

export function sealBox(key: Uint8Array, nonce: Uint8Array, message: Uint8Array): Uint8Array {
  return concatBytes(nonce, xsalsa20poly1305(key, nonce).encrypt(message));
}

/** The message, or undefined where the box was not made with this key. */
export function openBox(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < nonceBytes + tagBytes) return undefined;
  try {
    const nonce = sealed.subarray(0, nonceBytes);
    return xsalsa20poly1305(key, nonce).decrypt(sealed.subarray(nonceBytes));
  } catch {
    return undefined;
  }
}

function words(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i, true));
}
