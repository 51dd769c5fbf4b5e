import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { SignatureAlgorithm, SignatureVerifier } from '@postern/core/attest/x509';

/** How an ECDSA signature is written: DER as in X.509, or r and s side by side (IEEE P1363). */
export type EcdsaEncoding = 'der' | 'p1363';

export interface SignatureInput {
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly algorithm: SignatureAlgorithm;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  /** Only ECDSA has a choice; DER where it is not given. */
  readonly encoding?: EcdsaEncoding;
}

const coordinateBytes: Readonly<Record<string, number>> = {
  prime256v1: 32,
  secp384r1: 48,
  secp521r1: 66,
};

function importKey(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/** Whether the signature is right. A key of another kind than the algorithm's is false. */
export function verifySignature(input: SignatureInput): boolean {
  const key = importKey(input.spki);
  if (key === undefined) return false;
  try {
    return verifyWith(key, input);
  } catch {
    return false;
  }
}

function verifyWith(key: KeyObject, input: SignatureInput): boolean {
  const { algorithm, message, signature } = input;
  const type = key.asymmetricKeyType;
  switch (algorithm.kind) {
    case 'ecdsa': {
      const size = coordinateBytes[key.asymmetricKeyDetails?.namedCurve ?? ''];
      if (type !== 'ec' || size === undefined) return false;
      const isRaw = input.encoding === 'p1363';
      if (isRaw && signature.length !== 2 * size) return false;
      const dsaEncoding = isRaw ? 'ieee-p1363' : 'der';
      return verify(algorithm.hash, message, { key, dsaEncoding }, signature);
    }
    case 'rsa-pkcs1':
      if (type !== 'rsa' || !isModulusLength(key, signature)) return false;
      return verify(
        algorithm.hash,
        message,
        { key, padding: constants.RSA_PKCS1_PADDING },
        signature,
      );
    case 'rsa-pss':
      if ((type !== 'rsa' && type !== 'rsa-pss') || !isModulusLength(key, signature)) return false;
      return verify(
        algorithm.hash,
        message,
        {
          key,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: algorithm.saltLengthBytes,
        },
        signature,
      );
    case 'ed25519':
      if (type !== 'ed25519' || signature.length !== 64) return false;
      return verify(null, message, key, signature);
  }
}

function isModulusLength(key: KeyObject, signature: Uint8Array): boolean {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  return signature.length === Math.ceil(bits / 8);
}

/** The port of `@postern/core/attest/x509`, by this machine's OpenSSL. */
export const nodeSignatureVerifier: SignatureVerifier = {
  verify: (input) => verifySignature(input),
};
