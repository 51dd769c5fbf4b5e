import { der } from '../../base/der/index.ts';
import { concatBytes, equalBytes, fromBase64Url } from '../../base/index.ts';

/**
 * Whether a SubjectPublicKeyInfo holds the key that a JWK writes out (RFC 7517 4.7: they must be one).
 * The key bits end the structure, so comparing its end compares the key.
 */
export function isKeyOfJwk(spki: Uint8Array, jwk: Readonly<Record<string, unknown>>): boolean {
  const material = keyBits(jwk);
  if (material === undefined || material.length > spki.length) return false;
  return equalBytes(spki.subarray(spki.length - material.length), material);
}

function keyBits(jwk: Readonly<Record<string, unknown>>): Uint8Array | undefined {
  const member = (name: string): Uint8Array | undefined => {
    const value = jwk[name];
    return typeof value === 'string' ? fromBase64Url(value) : undefined;
  };
  const [x, y, n, e] = ['x', 'y', 'n', 'e'].map(member);
  if (jwk['kty'] === 'EC' && x !== undefined && y !== undefined && x.length === y.length) {
    return concatBytes(Uint8Array.of(4), x, y);
  }
  if (jwk['kty'] === 'OKP' && x !== undefined) return x;
  if (jwk['kty'] !== 'RSA' || n === undefined || e === undefined) return undefined;
  return der.sequence(der.unsignedInteger(n), der.unsignedInteger(e));
}
