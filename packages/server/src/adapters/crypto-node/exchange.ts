import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { concatBytes, fromHex, present } from '@postern/core/base';

const keyBytes = 32;
/** PKCS#8 and SubjectPublicKeyInfo around a raw X25519 key (RFC 8410). */
const privatePrefix = present(fromHex('302e020100300506032b656e04220420'), 'hex literal');
const publicPrefix = present(fromHex('302a300506032b656e032100'), 'hex literal');

/**
 * X25519 of raw keys (RFC 7748). Undefined for keys of another length and for a shared secret of zeros,
 * which a peer forces with a point of small order (RFC 7748 6.1).
 */
export function x25519SharedSecret(
  privateKey: Uint8Array,
  publicKey: Uint8Array,
): Uint8Array | undefined {
  if (privateKey.length !== keyBytes || publicKey.length !== keyBytes) return undefined;
  try {
    const secret = diffieHellman({
      privateKey: createPrivateKey({
        key: Buffer.from(concatBytes(privatePrefix, privateKey)),
        format: 'der',
        type: 'pkcs8',
      }),
      publicKey: createPublicKey({
        key: Buffer.from(concatBytes(publicPrefix, publicKey)),
        format: 'der',
        type: 'spki',
      }),
    });
    return secret.some((octet) => octet !== 0) ? secret : undefined;
  } catch {
    return undefined;
  }
}
