import { type DerElement, DerTag } from '../../base/der/index.ts';
import { equalBytes } from '../../base/index.ts';

export type SignatureHash = 'sha256' | 'sha384' | 'sha512';

/** A signature algorithm with every parameter fixed, so that a verifier has nothing to choose. */
export type SignatureAlgorithm =
  | { readonly kind: 'ecdsa'; readonly hash: SignatureHash }
  | { readonly kind: 'rsa-pkcs1'; readonly hash: SignatureHash }
  /** MGF1 uses the same hash. */
  | { readonly kind: 'rsa-pss'; readonly hash: SignatureHash; readonly saltLengthBytes: number }
  | { readonly kind: 'ed25519' };

/** An algorithm that is well formed and that nothing here verifies (SHA-1, DSA, odd PSS parameters). */
export interface UnsupportedAlgorithm {
  readonly kind: 'unsupported';
  readonly oid: string;
}

/**
 * Verifies signatures. `spki` is a DER SubjectPublicKeyInfo; ECDSA signatures are in the DER form of
 * X.509. False for anything wrong with key or signature: an implementation does not throw.
 */
export interface SignatureVerifier {
  verify(input: {
    readonly spki: Uint8Array;
    readonly algorithm: SignatureAlgorithm;
    readonly message: Uint8Array;
    readonly signature: Uint8Array;
  }): boolean;
}

const hashes: Readonly<Record<string, SignatureHash>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

const hashLengthBytes: Readonly<Record<SignatureHash, number>> = {
  sha256: 32,
  sha384: 48,
  sha512: 64,
};

const rsaPssOid = '1.2.840.113549.1.1.10';
const mgf1Oid = '1.2.840.113549.1.1.8';

/** What the parameters must be: RFC 4055 wants NULL for RSA, RFC 5758 and 8410 want none. */
const plain: Readonly<
  Record<string, { algorithm: SignatureAlgorithm; parameters: 'null' | 'absent' }>
> = {
  '1.2.840.10045.4.3.2': { algorithm: { kind: 'ecdsa', hash: 'sha256' }, parameters: 'absent' },
  '1.2.840.10045.4.3.3': { algorithm: { kind: 'ecdsa', hash: 'sha384' }, parameters: 'absent' },
  '1.2.840.10045.4.3.4': { algorithm: { kind: 'ecdsa', hash: 'sha512' }, parameters: 'absent' },
  '1.2.840.113549.1.1.11': {
    algorithm: { kind: 'rsa-pkcs1', hash: 'sha256' },
    parameters: 'null',
  },
  '1.2.840.113549.1.1.12': {
    algorithm: { kind: 'rsa-pkcs1', hash: 'sha384' },
    parameters: 'null',
  },
  '1.2.840.113549.1.1.13': {
    algorithm: { kind: 'rsa-pkcs1', hash: 'sha512' },
    parameters: 'null',
  },
  '1.3.101.112': { algorithm: { kind: 'ed25519' }, parameters: 'absent' },
};

/** Reads an AlgorithmIdentifier in the place of a signature algorithm. */
export function readSignatureAlgorithm(
  element: DerElement,
): SignatureAlgorithm | UnsupportedAlgorithm {
  return element.sequence((cursor) => {
    const oid = cursor.next().oid();
    const parameters = cursor.peek();
    if (oid === rsaPssOid && parameters !== undefined) return readPss(cursor.next());
    const row = plain[oid];
    if (row === undefined) {
      if (parameters !== undefined) cursor.next();
      return { kind: 'unsupported', oid };
    }
    if (row.parameters === 'null') cursor.next().null();
    return row.algorithm;
  });
}

/** RFC 4055 3.1, narrowed to what is in use: one hash throughout, salt as long as the hash. */
function readPss(element: DerElement): SignatureAlgorithm | UnsupportedAlgorithm {
  return element.sequence((cursor) => {
    const hash = cursor.optionalContext(0)?.explicit(0);
    const mgf = cursor.optionalContext(1)?.explicit(1);
    const salt = cursor.optionalContext(2)?.explicit(2).smallInteger(0xffff);
    const trailer = cursor.optionalContext(3)?.explicit(3).integer();
    const hashName = hash === undefined ? undefined : hashes[readHashOid(hash)];
    const mgfHash = mgf?.sequence((inner) => {
      const oid = inner.next().oid();
      const used = hashes[readHashOid(inner.next())];
      return oid === mgf1Oid ? used : undefined;
    });
    if (
      hashName === undefined ||
      mgfHash !== hashName ||
      salt !== hashLengthBytes[hashName] ||
      trailer !== undefined
    ) {
      return { kind: 'unsupported', oid: rsaPssOid };
    }
    return { kind: 'rsa-pss', hash: hashName, saltLengthBytes: salt };
  });
}

function readHashOid(element: DerElement): string {
  return element.sequence((cursor) => {
    const oid = cursor.next().oid();
    cursor.optional(DerTag.null)?.null();
    return oid;
  });
}

/** Whether two AlgorithmIdentifiers are the same octets: RFC 5280 4.1.1.2. */
export function isSameAlgorithm(a: DerElement, b: DerElement): boolean {
  return equalBytes(a.bytes, b.bytes);
}
