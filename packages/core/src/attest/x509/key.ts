import type { DerElement } from '../../base/der/index.ts';
import { decodeDer } from '../../base/der/index.ts';
import type { SignatureAlgorithm } from './algorithm.ts';
import { type CurveName, curveOf, isCurvePoint } from './curve.ts';
import { x509Limits } from './limits.ts';

/** A public key as far as its strength and its fitness for an algorithm can be judged without using it. */
export type PublicKey =
  | { readonly kind: 'ec'; readonly curve: CurveName }
  | { readonly kind: 'rsa'; readonly modulusBits: number; readonly exponent: bigint }
  | { readonly kind: 'ed25519' }
  | { readonly kind: 'unsupported'; readonly oid: string };

const ecOid = '1.2.840.10045.2.1';
const rsaOid = '1.2.840.113549.1.1.1';
const ed25519Oid = '1.3.101.112';

/** Reads a SubjectPublicKeyInfo. A key of a known kind that is not a possible key is refused. */
export function readPublicKey(element: DerElement): PublicKey {
  return element.sequence((cursor) => {
    const algorithm = cursor.next();
    const bits = cursor.next();
    return algorithm.sequence((parameters) => {
      const oid = parameters.next().oid();
      if (oid === ecOid) return readEc(parameters.next(), bits);
      if (oid === rsaOid) {
        parameters.next().null();
        return readRsa(bits);
      }
      if (oid === ed25519Oid) {
        if (bits.bitStringOctets().length !== 32) bits.refuse('Ed25519 key of another length');
        return { kind: 'ed25519' };
      }
      if (!parameters.done) parameters.next();
      return { kind: 'unsupported', oid };
    });
  });
}

/** Named curves only: explicit parameters let the sender choose the group (CVE-2020-0601). */
function readEc(parameters: DerElement, bits: DerElement): PublicKey {
  if (!parameters.isUniversal(6)) return { kind: 'unsupported', oid: ecOid };
  const oid = parameters.oid();
  const curve = curveOf(oid);
  if (curve === undefined) return { kind: 'unsupported', oid };
  if (!isCurvePoint(oid, bits.bitStringOctets())) bits.refuse('not a point of the curve');
  return { kind: 'ec', curve };
}

function readRsa(bits: DerElement): PublicKey {
  const key = decodeDer(bits.bitStringOctets(), (root) =>
    root.sequence((cursor) => ({
      modulus: cursor.next().integer(),
      exponent: cursor.next().integer(),
    })),
  );
  if (!key.ok) return bits.refuse('not an RSA public key');
  const { modulus, exponent } = key.value;
  if (modulus <= 0n || exponent <= 0n) bits.refuse('RSA numbers must be positive');
  return { kind: 'rsa', modulusBits: modulus.toString(2).length, exponent };
}

/** Why a key is too weak to trust, or undefined: CA/Browser Forum BR 6.1.5 and 6.1.6. */
export function weaknessOf(key: PublicKey): string | undefined {
  if (key.kind === 'unsupported') return `key algorithm ${key.oid} is not accepted`;
  if (key.kind !== 'rsa') return undefined;
  if (key.modulusBits < 2_048) return `RSA key of ${key.modulusBits} bits`;
  if (key.modulusBits > x509Limits.rsaBitsMax) return `RSA key of ${key.modulusBits} bits`;
  if (key.modulusBits % 8 !== 0) return 'RSA modulus is not whole octets';
  if (key.exponent < 65_537n || key.exponent % 2n === 0n || key.exponent >= 2n ** 256n) {
    return 'RSA exponent outside of what is accepted';
  }
  return undefined;
}

/** Whether the algorithm is one that this key makes signatures with. */
export function isKeyFor(key: PublicKey, algorithm: SignatureAlgorithm): boolean {
  switch (algorithm.kind) {
    case 'ecdsa':
      return key.kind === 'ec';
    case 'rsa-pkcs1':
    case 'rsa-pss':
      return key.kind === 'rsa';
    case 'ed25519':
      return key.kind === 'ed25519';
  }
}
