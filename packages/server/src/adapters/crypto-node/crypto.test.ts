import { generateKeyPairSync, sign } from 'node:crypto';
import { parseJwkSet } from '@postern/core/attest/jwk';
import { fromHex, toHex, utf8 } from '@postern/core/base';
import { CompactSign } from 'jose';
import { describe, expect, test } from 'vitest';
import {
  aeadOpen,
  aeadSeal,
  hkdf,
  isHmac,
  hmac,
  verifyJws,
  verifySignature,
  x25519SharedSecret,
} from './index.ts';

const message = utf8('message');

function spkiOf(keys: {
  publicKey: ReturnType<typeof generateKeyPairSync>['publicKey'];
}): Uint8Array {
  return new Uint8Array(keys.publicKey.export({ format: 'der', type: 'spki' }));
}

describe('a signature', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const ed = generateKeyPairSync('ed25519');
  const ecdsa = { kind: 'ecdsa', hash: 'sha256' } as const;

  test('is right with its key, algorithm and encoding only', () => {
    const signature = sign('sha256', message, ec.privateKey);
    const input = { spki: spkiOf(ec), algorithm: ecdsa, message, signature };
    expect(verifySignature(input)).toBe(true);
    expect(verifySignature({ ...input, encoding: 'p1363' })).toBe(false);
    expect(verifySignature({ ...input, message: utf8('other') })).toBe(false);
    expect(verifySignature({ ...input, algorithm: { kind: 'ecdsa', hash: 'sha384' } })).toBe(false);
    expect(verifySignature({ ...input, algorithm: { kind: 'ed25519' } })).toBe(false);
    expect(verifySignature({ ...input, spki: spkiOf(rsa) })).toBe(false);
    expect(verifySignature({ ...input, spki: Uint8Array.of(1, 2) })).toBe(false);
    expect(verifySignature({ ...input, signature: new Uint8Array() })).toBe(false);
  });

  test('in two halves has exactly their length', () => {
    const signature = sign('sha256', message, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
    const input = { spki: spkiOf(ec), algorithm: ecdsa, message, encoding: 'p1363' } as const;
    expect(verifySignature({ ...input, signature })).toBe(true);
    expect(verifySignature({ ...input, signature: signature.subarray(1) })).toBe(false);
    expect(verifySignature({ ...input, signature: new Uint8Array([0, ...signature]) })).toBe(false);
  });

  test('of RSA-PSS has the salt that the algorithm says', () => {
    const padding = 6;
    const signature = sign('sha256', message, { key: rsa.privateKey, padding, saltLength: 32 });
    const input = { spki: spkiOf(rsa), message, signature };
    const pss = (saltLengthBytes: number): boolean =>
      verifySignature({
        ...input,
        algorithm: { kind: 'rsa-pss', hash: 'sha256', saltLengthBytes },
      });
    expect([pss(32), pss(0), pss(20)]).toEqual([true, false, false]);
    expect(verifySignature({ ...input, algorithm: { kind: 'rsa-pkcs1', hash: 'sha256' } })).toBe(
      false,
    );
  });

  test('of Ed25519 is 64 octets', () => {
    const signature = sign(null, message, ed.privateKey);
    const input = { spki: spkiOf(ed), algorithm: { kind: 'ed25519' }, message } as const;
    expect(verifySignature({ ...input, signature })).toBe(true);
    expect(verifySignature({ ...input, signature: new Uint8Array([...signature, 0]) })).toBe(false);
  });
});

describe('authenticated encryption', () => {
  test.each(['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305'] as const)(
    '%s opens what it sealed',
    (aead) => {
      const input = {
        aead,
        key: new Uint8Array(aead === 'aes-128-gcm' ? 16 : 32).fill(1),
        nonce: new Uint8Array(12).fill(2),
        associated: utf8('to'),
      };
      const sealed = aeadSeal({ ...input, plaintext: message })!;
      expect(aeadOpen({ ...input, sealed })).toEqual(message);
      for (let at = 0; at < sealed.length; at += 1) {
        const changed = sealed.slice();
        changed[at] = (changed[at] ?? 0) ^ 0x80;
        expect(aeadOpen({ ...input, sealed: changed })).toBeUndefined();
      }
      expect(aeadOpen({ ...input, sealed, associated: utf8('from') })).toBeUndefined();
      expect(aeadOpen({ ...input, sealed: sealed.subarray(0, 15) })).toBeUndefined();
      expect(aeadSeal({ ...input, plaintext: message, nonce: new Uint8Array(8) })).toBeUndefined();
      expect(aeadSeal({ ...input, plaintext: message, key: new Uint8Array(5) })).toBeUndefined();
    },
  );
});

test('RFC 5869 test case 1 comes out', () => {
  const okm = hkdf({
    hash: 'sha256',
    secret: new Uint8Array(22).fill(0x0b),
    salt: fromHex('000102030405060708090a0b0c')!,
    info: fromHex('f0f1f2f3f4f5f6f7f8f9')!,
    lengthBytes: 42,
  });
  expect(toHex(okm!)).toBe(
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  );
});

test('a MAC is compared at the length of the protocol, not of the sender', () => {
  const key = utf8('key');
  const tag = hmac('sha256', key, message);
  const input = { hash: 'sha256', key, message } as const;
  expect(isHmac({ ...input, tag, tagBytes: 32 })).toBe(true);
  expect(isHmac({ ...input, tag: tag.subarray(0, 16), tagBytes: 32 })).toBe(false);
  expect(isHmac({ ...input, tag: tag.subarray(0, 16), tagBytes: 16 })).toBe(true);
  expect(isHmac({ ...input, tag: tag.subarray(0, 8), tagBytes: 8 })).toBe(false);
});

test('a point of small order gives no shared secret', () => {
  const key = new Uint8Array(32).fill(0x42);
  expect(x25519SharedSecret(key, new Uint8Array(32))).toBeUndefined();
  expect(x25519SharedSecret(key, Uint8Array.of(1, ...new Uint8Array(31)))).toBeUndefined();
  expect(x25519SharedSecret(key, new Uint8Array(31).fill(9))).toBeUndefined();
  expect(x25519SharedSecret(key, Uint8Array.of(9, ...new Uint8Array(31)))).toHaveLength(32);
});

describe('a token', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...ec.publicKey.export({ format: 'jwk' }), kid: 'one' };
  const parsed = parseJwkSet({ keys: [jwk] });
  const set = parsed.ok ? parsed.value : { keys: [], ignored: [] };

  async function token(header: Record<string, unknown>): Promise<string> {
    return new CompactSign(message)
      .setProtectedHeader({ alg: 'ES256', ...header })
      .sign(ec.privateKey);
  }

  async function verdict(text: string): Promise<string> {
    const result = await verifyJws(text, set);
    return result.ok ? 'ok' : result.error;
  }

  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

  test('is accepted with the key that its id names', async () => {
    expect(await verdict(await token({ kid: 'one' }))).toBe('ok');
    expect(await verdict(await token({}))).toBe('ok');
    expect(await verdict(await token({ kid: 'two' }))).toBe('unknown-key');
    const more = parseJwkSet({
      keys: [
        jwk,
        { ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), kid: 'two' },
      ],
    });
    const result = await verifyJws(await token({}), more.ok ? more.value : set);
    expect(result).toEqual({ ok: false, error: 'unknown-key' });
  });

  test('chooses neither its algorithm nor its key', async () => {
    const text = await token({ kid: 'one' });
    const [, body = '', signature = ''] = text.split('.');
    const withHeader = async (header: unknown): Promise<string> =>
      verdict(`${part(header)}.${body}.${signature}`);
    expect(await withHeader({ alg: 'none', kid: 'one' })).toBe('algorithm');
    expect(await withHeader({ alg: 'HS256', kid: 'one' })).toBe('algorithm');
    expect(await withHeader({ alg: 'RS256', kid: 'one' })).toBe('algorithm');
    expect(await withHeader({ alg: 'ES256', kid: 'one', crit: ['x'] })).toBe('critical-header');
    expect(await withHeader({ alg: 'ES256', kid: 'one', b64: false })).toBe('critical-header');
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const forged = await new CompactSign(message)
      .setProtectedHeader({
        alg: 'ES256',
        kid: 'one',
        jwk: other.publicKey.export({ format: 'jwk' }),
      })
      .sign(other.privateKey);
    expect(await verdict(forged)).toBe('bad-signature');
  });

  test.each([
    '',
    '.',
    '..',
    'a.b',
    'a.b.c.d',
    '{}',
    'e30.e30.',
    'e30=.e30.AA',
    ' e30.e30.AA',
    'W10.e30.AA',
  ])('%j is malformed', async (text) => {
    expect(await verdict(text)).toBe('malformed');
  });

  test('of 64 KiB is too large', async () => {
    expect(await verdict('a'.repeat(65_537))).toBe('too-large');
  });
});
