/** Chains of hardware vendors: what each link must be. */
import { expect, test } from 'vitest';
import {
  parseVendorBundle,
  parseVendorCertificate,
  verifyChain,
} from '../../packages/core/src/attest/vendor/index.ts';
import {
  distinguishedName,
  issueCertificate,
  keyUsage,
  pemOf,
  SigningKey,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import type {
  CertificateRequest,
  Issuer,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { utf8 } from '@postern/core/base';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { dayMs, nowMs } from './simulated.ts';

const seed = new Uint8Array(32);
const issuerOf = (name: string): Issuer => ({
  name: distinguishedName(name),
  key: new SigningKey(seed, name),
});
const root = issuerOf('root');
const middle = issuerOf('middle');
const leaf = issuerOf('leaf');

function issue(
  subject: Issuer,
  issuer: Issuer,
  changes: Partial<CertificateRequest> = {},
): Uint8Array {
  const request = {
    subject: subject.name,
    spki: subject.key.spki,
    serial: 1,
    notBeforeMs: nowMs - dayMs,
    notAfterMs: nowMs + dayMs,
    usages: [keyUsage.digitalSignature],
    ...changes,
  };
  return issueCertificate(request, issuer);
}

const authority = { authority: {}, usages: [keyUsage.keyCertSign] } as const;
const rootDer = issue(root, root, authority);
const middleDer = issue(middle, root, authority);
const leafDer = issue(leaf, middle);

function problem(...ders: readonly Uint8Array[]): string {
  const chain = ders.map((der) => {
    const parsed = parseVendorCertificate(der);
    if (!parsed.ok) throw new Error(parsed.error.what);
    return parsed.value;
  });
  const last = ders.at(-1) ?? rootDer;
  const pins = new Set([Buffer.from(nodeCrypto.sha256(last)).toString('hex')]);
  const result = verifyChain(chain, { crypto: nodeCrypto, pins });
  return result.ok ? 'sound' : `${result.error.code}: ${result.error.detail}`;
}

test('a chain of authorities down to a leaf is sound', () => {
  expect(problem(leafDer, middleDer, rootDer)).toBe('sound');
});

test('a link that names another issuer is refused, although the key fits', () => {
  const renamed = { name: distinguishedName('other'), key: middle.key };
  expect(problem(issue(leaf, renamed), middleDer, rootDer)).toBe(
    'chain_broken: leaf is not from middle',
  );
});

test('a link that another key signed is refused, although the name fits', () => {
  const impostor = { name: middle.name, key: leaf.key };
  expect(problem(issue(leaf, impostor), middleDer, rootDer)).toBe(
    'chain_broken: middle did not sign leaf',
  );
});

test('an issuer without BasicConstraints, or without keyCertSign, is no authority', () => {
  const plain = issue(middle, root, { usages: [keyUsage.keyCertSign] });
  expect(problem(leafDer, plain, rootDer)).toBe('chain_profile_violated: middle is not a CA');
  const unable = issue(middle, root, { authority: {}, usages: [keyUsage.cRLSign] });
  expect(problem(leafDer, unable, rootDer)).toBe('chain_profile_violated: middle is not a CA');
});

test('a path length counts the authorities below', () => {
  const short = issue(root, root, { authority: { pathLength: 0 }, usages: [keyUsage.keyCertSign] });
  expect(problem(leafDer, middleDer, short)).toBe(
    'chain_profile_violated: root has a shorter path length',
  );
  const enough = issue(root, root, {
    authority: { pathLength: 1 },
    usages: [keyUsage.keyCertSign],
  });
  expect(problem(leafDer, middleDer, enough)).toBe('sound');
  expect(problem(issue(leaf, root), short)).toBe('sound');
});

test('no chain, an endless chain and an unpinned root are refused', () => {
  expect(problem()).toBe('chain_missing: ');
  const endless = Array.from({ length: 9 }, () => rootDer);
  expect(problem(...endless)).toBe('chain_broken: 9 long');
  const parsed = parseVendorCertificate(rootDer);
  const pins = new Set(['00'.repeat(32)]);
  const outcome = parsed.ok && verifyChain([parsed.value], { crypto: nodeCrypto, pins });
  expect(outcome).toMatchObject({ error: { code: 'root_not_pinned' } });
});

test('an unknown critical extension, and two algorithms in one certificate, are malformed', () => {
  const extensions = [{ oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }];
  expect(parseVendorCertificate(issue(leaf, middle, { extensions }))).toMatchObject({
    error: { what: 'critical extension 1.2.3.4' },
  });
  // The last byte of the first ecdsa-with-SHA256, which is the one inside.
  const hex = Buffer.from(leafDer).toString('hex');
  const changed = Buffer.from(hex.replace('06082a8648ce3d040302', '06082a8648ce3d040303'), 'hex');
  expect(parseVendorCertificate(new Uint8Array(changed))).toMatchObject({
    error: { what: 'signature algorithm differs from the outer one' },
  });
});

test('bundles are PEM with or without line breaks between blocks, ended by NULs or not', () => {
  const pem = pemOf('CERTIFICATE', leafDer, middleDer);
  const forms = [
    pem,
    `${pem}\0`,
    pem.replace('-----\n-----', '----------'),
    pem.replaceAll('\n', '\r\n'),
  ];
  for (const form of forms) {
    const bundle = parseVendorBundle(utf8(form));
    expect(bundle.ok && bundle.value.map(({ commonName }) => commonName)).toEqual([
      'leaf',
      'middle',
    ]);
  }
  for (const form of [
    '',
    'text',
    pem.replace('CERTIFICATE', 'KEY'),
    pemOf('PRIVATE KEY', leafDer),
  ]) {
    const bundle = parseVendorBundle(utf8(form));
    expect(bundle.ok && bundle.value.length > 0, form.slice(0, 40)).toBe(false);
  }
});
