import { generateKeyPairSync } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJwkSet } from './index.ts';
import { hasRocaFingerprint } from './roca.ts';

type Jwk = Record<string, unknown>;

function publicJwk(type: 'P-256' | 'P-384' | 'P-521' | 'ed25519' | 'rsa' | 'weak'): Jwk {
  if (type === 'ed25519')
    return { ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }) };
  if (type === 'rsa' || type === 'weak') {
    const modulusLength = type === 'rsa' ? 2_048 : 1_024;
    return { ...generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' }) };
  }
  return { ...generateKeyPairSync('ec', { namedCurve: type }).publicKey.export({ format: 'jwk' }) };
}

function algorithmsOf(jwk: Jwk): unknown {
  const set = parseJwkSet({ keys: [jwk] });
  if (!set.ok) return set.error.code;
  return set.value.keys[0]?.algorithms ?? set.value.ignored[0];
}

describe('a key', () => {
  const ec = publicJwk('P-256');
  const rsa = publicJwk('rsa');

  test('is bound to the algorithms of its type, or to the one it names', () => {
    expect(algorithmsOf(ec)).toEqual(['ES256']);
    expect(algorithmsOf(publicJwk('P-384'))).toEqual(['ES384']);
    expect(algorithmsOf(publicJwk('ed25519'))).toEqual(['EdDSA']);
    expect(algorithmsOf(rsa)).toEqual(['RS256', 'RS384', 'RS512', 'PS256']);
    expect(algorithmsOf({ ...rsa, alg: 'PS256' })).toEqual(['PS256']);
  });

  test.each([
    ['another type’s algorithm', { ...ec, alg: 'RS256' }, 'algorithm and key do not fit'],
    ['another curve’s algorithm', { ...ec, alg: 'ES384' }, 'algorithm and key do not fit'],
    ['no algorithm at all', { ...ec, alg: 'none' }, 'algorithm and key do not fit'],
    ['HMAC', { ...rsa, alg: 'HS256' }, 'algorithm and key do not fit'],
    ['encryption as its use', { ...ec, use: 'enc' }, 'not for signatures'],
    ['signing as its operation', { ...ec, key_ops: ['sign'] }, 'not for verification'],
    ['a curve that is not its own', { ...ec, crv: 'P-384' }, 'not a point of the curve'],
    ['a curve of the prototype', { ...ec, crv: 'constructor' }, 'curve is not accepted'],
    ['a curve that we do not use', publicJwk('P-521'), 'curve is not accepted'],
    ['a point off the curve', { ...ec, x: ec['y'] }, 'not a point of the curve'],
    ['another type', { ...ec, kty: 'RSA' }, 'RSA numbers are missing'],
    ['a short modulus', publicJwk('weak'), 'RSA key of 1024 bits'],
    ['exponent one', { ...rsa, e: 'AQ' }, 'RSA exponent outside of what is accepted'],
    ['padding in base64url', { ...rsa, e: 'AQAB=' }, 'RSA numbers are missing'],
    ['a key id that is no text', { ...ec, kid: 1 }, 'kid is no string'],
  ])('with %s is left out', (_, jwk, why) => {
    expect(algorithmsOf(jwk)).toBe(why);
  });

  test('keeps only the members that make it up', () => {
    const set = parseJwkSet({ keys: [{ ...ec, kid: 'a', x5u: 'https://evil.example/' }] });
    expect(set.ok && Object.keys(set.value.keys[0]!.jwk).sort()).toEqual(['crv', 'kty', 'x', 'y']);
  });
});

describe('a set', () => {
  const ec = publicJwk('P-256');

  test.each([
    ['no object', 'x', 'malformed'],
    ['a bare key', ec, 'malformed'],
    ['a key that is no object', { keys: [1] }, 'malformed'],
    ['a secret key', { keys: [ec, { kty: 'oct', k: 'AAAA' }] }, 'secret-key'],
    ['a private key', { keys: [{ ...ec, d: 'AAAA' }] }, 'secret-key'],
    [
      'one key id twice',
      {
        keys: [
          { ...ec, kid: 'a' },
          { ...publicJwk('P-256'), kid: 'a' },
        ],
      },
      'duplicate-kid',
    ],
    ['too many keys', { keys: Array.from({ length: 101 }, () => ec) }, 'too-many-keys'],
  ])('that is or holds %s is refused whole', (_, value, code) => {
    expect(parseJwkSet(value)).toMatchObject({ ok: false, error: { code } });
  });

  test('of any JSON never throws', () => {
    const member = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('EC', 'RSA', 'OKP', 'P-256', 'Ed25519'),
    );
    const key = fc.dictionary(
      fc.constantFrom('kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'use', 'alg', 'key_ops'),
      member,
    );
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.record({ keys: fc.array(key) })), (value) => {
        parseJwkSet(value);
      }),
    );
  });
});

test('the ROCA fingerprint is on moduli of that generator only', () => {
  // The product of the first 39 primes, from which the generator makes its 512-bit keys.
  const primes = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
  ];
  const product = primes.reduce((all, prime) => all * BigInt(prime), 1n);
  const factor = (k: bigint, power: bigint): bigint => k * product + (65_537n ** power % product);
  expect(hasRocaFingerprint(factor(12_345n, 17n) * factor(54_321n, 99n))).toBe(true);
  const { n } = publicJwk('rsa');
  const modulus = BigInt(`0x${Buffer.from(String(n), 'base64url').toString('hex')}`);
  expect(hasRocaFingerprint(modulus)).toBe(false);
});
