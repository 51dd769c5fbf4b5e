import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  altNames,
  authority,
  type CertificateFields,
  extension,
  leaf,
  pkiNow,
  testKey,
  verifier,
} from '../../../../../test/fakes/pki.ts';
import { der } from '../../base/der/index.ts';
import { extensionOid, isDnsName, parseCertificate, profiles, verifyPath } from './index.ts';
import { weaknessOf } from './key.ts';

const root = authority('root');

function detailOf(bytes: Uint8Array): string {
  const result = parseCertificate(bytes);
  return result.ok ? 'ok' : result.error.detail;
}

function withFields(fields: Partial<CertificateFields>): string {
  return detailOf(leaf(['dns:a.example'], { issuer: root, fields }).der);
}

function withExtension(oid: string, value: Uint8Array): string {
  return detailOf(leaf([], { issuer: root, extensions: [extension(oid, value)] }).der);
}

describe('a certificate', () => {
  test('gives back what was put into it', () => {
    const end = leaf(['dns:a.example', 'ip:10.0.0.1'], { issuer: root });
    const parsed = parseCertificate(end.der);
    if (!parsed.ok) throw new Error(parsed.error.detail);
    const { value } = parsed;
    expect(value.version).toBe(3);
    expect(value.subject.canonical).toBe('["2.5.4.3","leaf"]');
    expect(value.issuer.attributes).toEqual([{ type: '2.5.4.3', text: 'root' }]);
    expect(value.publicKey).toEqual({ kind: 'ec', curve: 'P-256' });
    expect(value.signatureAlgorithm).toEqual({ kind: 'ecdsa', hash: 'sha256' });
    expect(value.keyUsage).toEqual(new Set(['digitalSignature']));
    expect(value.subjectAltNames).toEqual([
      { kind: 'dns', value: 'a.example' },
      { kind: 'ip', address: Uint8Array.of(10, 0, 0, 1) },
    ]);
    expect([value.notBefore, value.notAfter]).toEqual([pkiNow - 86_400_000, pkiNow + 86_400_000]);
    expect(value.isSelfIssued).toBe(false);
    expect(value.spki).toEqual(end.key.spki);
  });

  test('is refused for one changed octet, by the parser or by its signature', () => {
    const end = leaf(['dns:a.example'], { issuer: root });
    const anchor = parseCertificate(root.der);
    if (!anchor.ok) throw new Error(anchor.error.detail);
    const accepted: number[] = [];
    for (let at = 0; at < end.der.length; at += 1) {
      const bytes = end.der.slice();
      bytes[at] = (bytes[at] ?? 0) ^ 0x01;
      const parsed = parseCertificate(bytes);
      if (!parsed.ok) continue;
      const path = verifyPath(
        {
          leaf: parsed.value,
          intermediates: [],
          anchors: [anchor.value],
          at: pkiNow,
          profile: profiles.mesh,
          purposes: [],
          peerNames: [],
        },
        verifier,
      );
      if (path.ok) accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  test('may use every curve that we know, and its points only', () => {
    for (const curve of ['P-256', 'P-384', 'P-521']) {
      const key = testKey(curve);
      expect(detailOf(leaf([], { issuer: root, key }).der)).toBe('ok');
      const spki = key.spki.slice();
      spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1;
      expect(withFields({ spki })).toBe('not a point of the curve');
    }
  });

  test.each<[string, Partial<CertificateFields>]>([
    ['unknown version', { version: der.explicit(0, der.integer(3)) }],
    ['unknown version', { version: der.explicit(0, der.integer(0)) }],
    ['extensions before version 3', { version: der.explicit(0, der.integer(1)) }],
    ['the two signature algorithms differ', { algorithm: der.sequence(der.oid('1.3.101.112')) }],
    ['expected universal type 17', { subject: der.sequence(der.sequence()) }],
    ['empty relative name', { subject: der.sequence(der.setOf()) }],
    ['no such day or time', { validity: der.sequence(badTime(), badTime()) }],
    ['extension 2.5.29.17 twice', { extensions: [altNames(['dns:a']), altNames(['dns:b'])] }],
    ['expected universal type 5', { spki: rsaSpki(der.sequence()) }],
  ])('is refused with: %s', (detail, fields) => {
    expect(withFields(fields)).toBe(detail);
  });

  test.each([
    ['default cA', extensionOid.basicConstraints, der.sequence(der.boolean(false))],
    ['path length without cA', extensionOid.basicConstraints, der.sequence(der.integer(0))],
    ['no usage', extensionOid.keyUsage, der.namedBits()],
    ['an unknown usage', extensionOid.keyUsage, der.namedBits(9)],
    ['no extended usage', extensionOid.extendedKeyUsage, der.sequence()],
    ['no names', extensionOid.subjectAltName, der.sequence()],
    ['trailing octets', extensionOid.subjectAltName, new Uint8Array([0x30, 0, 0])],
    [
      'a name form that is none',
      extensionOid.subjectAltName,
      der.sequence(der.explicit(9, der.nothing())),
    ],
    ['an empty key identifier', extensionOid.subjectKeyIdentifier, der.octetString()],
    ['no subtrees', extensionOid.nameConstraints, der.sequence()],
    ['no access description', extensionOid.authorityInfoAccess, der.sequence()],
    ['no policy', extensionOid.certificatePolicies, der.sequence()],
    [
      'an empty distribution point',
      extensionOid.crlDistributionPoints,
      der.sequence(der.sequence()),
    ],
  ])('is refused with %s', (_, oid, value) => {
    expect(withExtension(oid, value)).toMatch(/^extension /);
  });

  test.each([
    'dns:',
    'dns:.example',
    'dns:a..example',
    'dns:a.example.',
    'dns:a_b.example',
    'dns:-a.example',
    'dns:10.0.0.1',
    'dns:*',
    'dns:*.com',
    'dns:a*.example.com',
    'dns:*.*.example.com',
    `dns:${'a'.repeat(64)}.example`,
    'email:a',
    'email:a@b@c.example',
    'email:"a b"@c.example',
    'uri:no-scheme',
    'uri:https://a b',
    'ip:1.2.3',
  ])('is refused with the name %s', (name) => {
    const end = leaf([], { issuer: root, extensions: [altNames([name])] });
    expect(detailOf(end.der)).toMatch(/^extension 2.5.29.17: not a/);
  });

  test('is refused past 64 KiB, whatever is in it', () => {
    expect(detailOf(new Uint8Array(65_537))).toBe('more than 65536 bytes');
  });
});

test('a name is the same without regard to case, spaces and string type', () => {
  const pair = (value: Uint8Array): Uint8Array =>
    der.sequence(der.setOf(der.sequence(der.oid('2.5.4.3'), value)));
  const issuerOf = (value: Uint8Array): string => {
    const parsed = parseCertificate(
      leaf([], { issuer: root, fields: { issuer: pair(value) } }).der,
    );
    return parsed.ok ? parsed.value.issuer.canonical : parsed.error.detail;
  };
  const plain = issuerOf(der.utf8String('My Root'));
  expect(issuerOf(der.printableString('  my   ROOT '))).toBe(plain);
  expect(issuerOf(der.utf8String('ＭＹ root'))).toBe(plain);
  expect(issuerOf(der.utf8String('MyRoot'))).not.toBe(plain);
});

test('keys below the margin are named weak', () => {
  const rsa = (modulusBits: number, exponent = 65_537n): string | undefined =>
    weaknessOf({ kind: 'rsa', modulusBits, exponent });
  expect(rsa(2_048)).toBeUndefined();
  expect(rsa(1_024)).toBe('RSA key of 1024 bits');
  expect(rsa(2_052)).toBe('RSA modulus is not whole octets');
  expect(rsa(16_384)).toBe('RSA key of 16384 bits');
  expect(rsa(2_048, 3n)).toBe('RSA exponent outside of what is accepted');
  expect(rsa(2_048, 65_538n)).toBe('RSA exponent outside of what is accepted');
  expect(weaknessOf({ kind: 'unsupported', oid: '1.2' })).toBe('key algorithm 1.2 is not accepted');
});

test('an RSA key is read with its size', () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const parsed = parseCertificate(leaf([], { issuer: root, fields: { spki } }).der);
  expect(parsed.ok && parsed.value.publicKey).toEqual({
    kind: 'rsa',
    modulusBits: 2_048,
    exponent: 65_537n,
  });
});

test('host names are letters, digits and hyphens', () => {
  expect(isDnsName('xn--bcher-kva.example')).toBe(true);
  expect(isDnsName('bücher.example')).toBe(false);
  expect(isDnsName(`${'a.'.repeat(126)}b`)).toBe(true);
  expect(isDnsName(`${'a.'.repeat(127)}b`)).toBe(false);
});

function badTime(): Uint8Array {
  return der.element(0x17, new TextEncoder().encode('230229120000Z'));
}

function rsaSpki(parameters: Uint8Array): Uint8Array {
  const key = der.sequence(der.integer(5), der.integer(3));
  const algorithm = der.sequence(der.oid('1.2.840.113549.1.1.1'), parameters);
  return der.sequence(algorithm, der.bitString(key));
}
