import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { assert, concatBytes, fromHex, present } from '@postern/core/base';

/** Length of a raw X25519 key, private or public. */
export const keyBytes = 32;

/** PKCS#8 and SubjectPublicKeyInfo around a raw X25519 key (RFC 8410). */
const privatePrefix = present(fromHex('302e020100300506032b656e04220420'), 'hex literal');
const publicPrefix = present(fromHex('302a300506032b656e032100'), 'hex literal');

/** A private key that was parsed once, with its public half. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  /** The raw 32 bytes. */
  readonly publicKey: Uint8Array;
}

export function generateKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  return { privateKey, publicKey: rawPublic(publicKey) };
}

/** The pair of a raw private key, which is clamped by the primitive as RFC 7748 says. */
export function keyPairOf(rawPrivate: Uint8Array): KeyPair {
  assert(rawPrivate.length === keyBytes, 'a raw X25519 key has 32 bytes');
  const privateKey = createPrivateKey({
    key: Buffer.from(concatBytes(privatePrefix, rawPrivate)),
    format: 'der',
    type: 'pkcs8',
  });
  return { privateKey, publicKey: rawPublic(createPublicKey(privateKey)) };
}

/** The raw 32 bytes of a private key, to be kept in a file. */
export function rawPrivate(pair: KeyPair): Uint8Array {
  return new Uint8Array(
    pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-keyBytes),
  );
}

/**
 * X25519 (RFC 7748). Undefined for a public key of another length and for a shared secret of zeros, which a
 * peer forces with a point of small order.
 */
export function sharedSecret(own: KeyPair, peerPublic: Uint8Array): Uint8Array | undefined {
  if (peerPublic.length !== keyBytes) return undefined;
  try {
    const secret = diffieHellman({
      privateKey: own.privateKey,
      publicKey: createPublicKey({
        key: Buffer.from(concatBytes(publicPrefix, peerPublic)),
        format: 'der',
        type: 'spki',
      }),
    });
    return secret.some((octet) => octet !== 0) ? secret : undefined;
  } catch {
    return undefined;
  }
}

function rawPublic(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-keyBytes));
}
