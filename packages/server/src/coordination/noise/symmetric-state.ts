import { createHash, hkdfSync } from 'node:crypto';
import { assert } from '@postern/core/base';
import { nonceBytes, open, seal } from './aead.ts';
import { keyBytes } from './x25519.ts';

const hashName = 'blake2s256';
const protocolName = 'Noise_IK_25519_ChaChaPoly_BLAKE2s';
const zeroNonce = new Uint8Array(nonceBytes);
const nothing = new Uint8Array(0);

/** The two keys of the transport: the first encrypts what the initiator sends. */
export interface TransportKeys {
  readonly initiatorKey: Uint8Array;
  readonly responderKey: Uint8Array;
  /** Binds both sides to everything that was said in the handshake. */
  readonly handshakeHash: Uint8Array;
}

/**
 * The symmetric state of Noise (revision 34, section 5.2) for IK. In IK each key of the handshake encrypts one
 * message only, so that the handshake nonce is always zero; `seal` and `open` use a key up.
 */
export class SymmetricState {
  #hash: Uint8Array;
  #chainingKey: Uint8Array;
  #key: Uint8Array | undefined;

  constructor(prologue: Uint8Array) {
    // The name is longer than a hash, so that it is hashed itself.
    this.#hash = blake2s(Buffer.from(protocolName, 'ascii'));
    this.#chainingKey = this.#hash;
    this.mixHash(prologue);
  }

  mixHash(data: Uint8Array): void {
    this.#hash = blake2s(this.#hash, data);
  }

  mixKey(secret: Uint8Array): void {
    const [chainingKey, key] = twoKeys(secret, this.#chainingKey);
    this.#chainingKey = chainingKey;
    this.#key = key;
  }

  seal(plaintext: Uint8Array): Buffer {
    const sealed = seal(this.#useKey(), zeroNonce, this.#hash, plaintext);
    this.mixHash(sealed);
    return sealed;
  }

  /** Undefined where the tag is wrong; the handshake is over then. */
  open(sealed: Uint8Array): Buffer | undefined {
    const plaintext = open(this.#useKey(), zeroNonce, this.#hash, sealed);
    if (plaintext !== undefined) this.mixHash(sealed);
    return plaintext;
  }

  split(): TransportKeys {
    const [initiatorKey, responderKey] = twoKeys(nothing, this.#chainingKey);
    return { initiatorKey, responderKey, handshakeHash: this.#hash };
  }

  #useKey(): Uint8Array {
    const key = this.#key;
    this.#key = undefined;
    assert(key !== undefined, 'a handshake key is used once');
    return key;
  }
}

function blake2s(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash(hashName);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function twoKeys(secret: Uint8Array, salt: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const both = new Uint8Array(hkdfSync(hashName, secret, salt, nothing, 2 * keyBytes));
  return [both.subarray(0, keyBytes), both.subarray(keyBytes)];
}
