import { decodeDer, der } from '../../base/der/index.ts';
import { concatBytes, equalBytes, fromBase64Url, toBase64Url } from '../../base/index.ts';
import type { PublicKey } from './key.ts';

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

/** The members of a JWK that write out a key; undefined for kinds that have none here. */
export function jwkOfKey(
  spki: Uint8Array,
  key: PublicKey,
): Readonly<Record<string, string>> | undefined {
  const bits = decodeDer(spki, (root) =>
    root.sequence((cursor) => {
      cursor.next();
      return cursor.next().bitStringOctets();
    }),
  );
  if (!bits.ok) return undefined;
  if (key.kind === 'ed25519') return { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(bits.value) };
  if (key.kind === 'ec') {
    const half = (bits.value.length - 1) / 2;
    const [x, y] = [bits.value.subarray(1, 1 + half), bits.value.subarray(1 + half)];
    return { kty: 'EC', crv: key.curve, x: toBase64Url(x), y: toBase64Url(y) };
  }
  return key.kind === 'rsa' ? rsaJwk(bits.value) : undefined;
}

function rsaJwk(bits: Uint8Array): Readonly<Record<string, string>> | undefined {
  const unsigned = (content: Uint8Array): string =>
    toBase64Url(content[0] === 0 ? content.subarray(1) : content);
  const numbers = decodeDer(bits, (root) => root.sequenceOf((number) => unsigned(number.content)));
  const [n, e] = numbers.ok ? numbers.value : [];
  return n === undefined || e === undefined ? undefined : { kty: 'RSA', n, e };
}
