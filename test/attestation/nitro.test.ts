import { expect, test } from 'vitest';
import { toHex, utf8 } from '@postern/core/base';
import { CborTag, writeCbor } from '@postern/core/base/cbor';
import { appraisePlatform, strictPlatformPolicy } from '@postern/core/attest';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { authorityDer, documentOf, pcrs, verifyDocument } from './nitro-pki.ts';
import { hourMs, nowMs } from './simulated.ts';

function codes(...input: Parameters<typeof verifyDocument>): string[] {
  return verifyDocument(...input).findings.map(({ code }) => code);
}

test('a document is sound under its root and states registers, machine and time', () => {
  const { crypto, findings, claims } = verifyDocument(documentOf());
  expect({ crypto, findings }).toEqual({ crypto: 'valid', findings: [] });
  expect(claims).toMatchObject({
    platform: 'nitro',
    measurements: { pcr0: '01'.repeat(48), pcr2: '03'.repeat(48) },
    deviceId: toHex(nodeCrypto.sha256(utf8('i-0123456789abcdef0'))),
    issuedAtMs: nowMs,
  });
});

test('a document whose PCR 0 to 2 are all zero is of a debug enclave and refused', () => {
  const zero = new Map([0, 1, 2].map((index) => [index, new Uint8Array(48)]));
  expect(codes(documentOf({ fields: { pcrs: zero } }))).toEqual(['debug_enabled']);
  expect(
    codes(documentOf({ fields: { pcrs: new Map([...zero, [1, new Uint8Array(48).fill(1)]]) } })),
  ).toEqual([]);
});

test('an old document, and one from the future, is refused by policy', () => {
  const at = (fields: { readonly timestamp: number }): string[] =>
    appraisePlatform(
      verifyDocument(documentOf({ fields })),
      strictPlatformPolicy,
      nowMs,
    ).refusals.map(({ code }) => code);
  expect(at({ timestamp: nowMs - hourMs })).toEqual([]);
  expect(at({ timestamp: nowMs - hourMs - 1 })).toEqual(['evidence_too_old']);
  expect(at({ timestamp: nowMs + 5 * 60_000 })).toEqual([]);
  expect(at({ timestamp: nowMs + 5 * 60_000 + 1 })).toEqual(['evidence_from_future']);
});

test('a leaf certificate outside its three hours is refused', () => {
  expect(codes(documentOf(), { nowMs: nowMs + 2 * hourMs })).toContain('certificate_expired');
  expect(codes(documentOf(), { nowMs: nowMs - 2 * hourMs })).toContain('certificate_not_yet_valid');
});

test('any change to payload or signature breaks the signature', () => {
  const document = documentOf();
  for (let at = 8; at < document.length; at += 23) {
    const forged = document.slice();
    forged[at] = (forged[at] ?? 0) ^ 1;
    expect(verifyDocument(forged).crypto, `byte ${at}`).toBe('invalid');
  }
});

test.each([
  ['another algorithm', { header: new Map([[1, -7]]) }],
  [
    'more in the protected header',
    {
      header: new Map([
        [1, -35],
        [4, 1],
      ]),
    },
  ],
  ['an unprotected header', { unprotected: new Map([[1, -35]]) }],
  ['another digest', { fields: { digest: 'SHA256' } }],
  ['no module id', { fields: { module_id: '' } }],
  ['no time', { fields: { timestamp: 0 } }],
  ['no registers', { fields: { pcrs: new Map() } }],
  [
    'a missing register',
    {
      fields: {
        pcrs: new Map([
          [0, new Uint8Array(48)],
          [1, new Uint8Array(48)],
        ]),
      },
    },
  ],
  ['a short register', { fields: { pcrs: new Map([...pcrs, [0, new Uint8Array(47)]]) } }],
  ['a register beyond 31', { fields: { pcrs: new Map([...pcrs, [32, new Uint8Array(48)]]) } }],
  ['no chain', { fields: { cabundle: [] } }],
  ['too much user data', { fields: { user_data: new Uint8Array(513) } }],
])('%s is malformed', (_name, options) => {
  expect(codes(documentOf(options))).toEqual(['malformed_evidence']);
});

test('a tagged document has another form and is refused', () => {
  const untagged = documentOf();
  const tagged = new Uint8Array([...writeCbor(new CborTag(18, 0)).subarray(0, 1), ...untagged]);
  expect(codes(tagged)).toEqual(['malformed_evidence']);
});

test('an authority does not sign documents', () => {
  expect(codes(documentOf({ fields: { certificate: authorityDer } }))).toEqual([
    'chain_profile_violated',
  ]);
});

test('another root is not the pinned one', () => {
  expect(codes(documentOf(), { pins: new Set(['00'.repeat(32)]) })).toEqual(['root_not_pinned']);
});
