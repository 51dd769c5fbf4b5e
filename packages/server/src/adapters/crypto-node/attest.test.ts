import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { nodeCrypto } from './attest.ts';

const message = new TextEncoder().encode('message');
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }));
}

describe('ECDSA', () => {
  const dsaEncoding = 'ieee-p1363';
  const signature = new Uint8Array(sign('sha256', message, { key: p256.privateKey, dsaEncoding }));
  const check = {
    curve: 'P-256',
    hash: 'sha256',
    spki: spkiOf(p256.publicKey),
    message,
    signature,
    encoding: 'p1363',
  } as const;

  test('a signature is right under its key, hash and encoding alone', () => {
    expect(nodeCrypto.verifyEcdsa(check)).toBe(true);
    expect(nodeCrypto.verifyEcdsa({ ...check, encoding: 'der' })).toBe(false);
    expect(nodeCrypto.verifyEcdsa({ ...check, hash: 'sha384' })).toBe(false);
    expect(nodeCrypto.verifyEcdsa({ ...check, message: new Uint8Array() })).toBe(false);
  });

  test('a key on another curve than stated is refused, whatever it signed', () => {
    const key = p384.privateKey;
    const other = new Uint8Array(sign('sha256', message, { key, dsaEncoding }));
    const spki = spkiOf(p384.publicKey);
    expect(nodeCrypto.verifyEcdsa({ ...check, spki, signature: other })).toBe(false);
    expect(nodeCrypto.verifyEcdsa({ ...check, curve: 'P-384', spki, signature: other })).toBe(true);
  });

  test('a raw signature of another length is refused', () => {
    for (const length of [0, 63]) {
      const cut = signature.subarray(0, length);
      expect(nodeCrypto.verifyEcdsa({ ...check, signature: cut })).toBe(false);
    }
    const padded = new Uint8Array([...signature, 0]);
    expect(nodeCrypto.verifyEcdsa({ ...check, signature: padded })).toBe(false);
  });

  test('garbage keys and points off the curve are false, not exceptions', () => {
    const off = check.spki.slice();
    off[off.length - 1] = (off.at(-1) ?? 0) ^ 1;
    for (const spki of [new Uint8Array(), new Uint8Array(91), off]) {
      expect(nodeCrypto.verifyEcdsa({ ...check, spki })).toBe(false);
    }
  });
});

describe('RSASSA-PSS', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const signWith = (saltLength: number, key: KeyObject = privateKey): Uint8Array =>
    new Uint8Array(sign('sha384', message, { key, padding: 6, saltLength }));
  const check = { hash: 'sha384', spki: spkiOf(publicKey), message } as const;

  test('the salt must be as long as the hash', () => {
    expect(nodeCrypto.verifyRsaPss({ ...check, signature: signWith(48) })).toBe(true);
    expect(nodeCrypto.verifyRsaPss({ ...check, signature: signWith(32) })).toBe(false);
    expect(nodeCrypto.verifyRsaPss({ ...check, signature: new Uint8Array(256) })).toBe(false);
  });

  test('keys below 2048 bits are refused', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1536 });
    const key = createPrivateKey(weak.privateKey.export({ format: 'pem', type: 'pkcs8' }));
    const spki = spkiOf(weak.publicKey);
    expect(nodeCrypto.verifyRsaPss({ ...check, spki, signature: signWith(48, key) })).toBe(false);
  });
});
