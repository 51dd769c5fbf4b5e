/** Certificates with evidence inside, in every form that dstack ever wrote. */
import { generateKeyPairSync } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { concatBytes, fromHex, toHex, utf8 } from '@postern/core/base';
import { der } from '@postern/core/base/der';
import { writeMsgpack } from '@postern/core/base/msgpack';
import { raTlsReportData, verifyPeerCertificate } from '@postern/core/attest';
import type { PeerCertificateContext, Verification } from '@postern/core/attest';
import {
  distinguishedName,
  issueCertificate,
  keyUsage,
  SigningKey,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import type {
  CertificateRequest,
  Extension,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { hourMs, nowMs, peerContext, simulator } from './simulated.ts';

const key = new SigningKey(new Uint8Array(32), 'ratls');
const name = distinguishedName('peer');
const binding = raTlsReportData(key.spki, nodeCrypto);
const attestation = simulator.attestation(binding);
const { quote, eventLog } = simulator.quote(binding);
const { app } = simulator;

function claim(suffix: number, value: Uint8Array): Extension {
  return { oid: `1.3.6.1.4.1.62397.1.${suffix}`, value: der.octetString(value) };
}

const serverAuth = {
  oid: '2.5.29.37',
  value: der.sequence(der.oid('1.3.6.1.5.5.7.3.1')),
} as const;

function certificate(
  extensions: readonly Extension[],
  changes: Partial<CertificateRequest> = {},
): Uint8Array {
  const request = {
    subject: name,
    spki: key.spki,
    serial: 1,
    notBeforeMs: nowMs - hourMs,
    notAfterMs: nowMs + hourMs,
    usages: [keyUsage.digitalSignature],
    extensions: [serverAuth, ...extensions],
    ...changes,
  };
  return issueCertificate(request, { name, key });
}

function verify(leaf: Uint8Array, changes: Partial<PeerCertificateContext> = {}): Verification {
  return verifyPeerCertificate(leaf, peerContext(changes));
}

function codes(...input: Parameters<typeof verify>): string[] {
  return verify(...input).findings.map(({ code }) => code);
}

test('the extension of an app id has the bytes that dstack writes', () => {
  const leaf = toHex(certificate([claim(3, new Uint8Array(20).fill(0xab))]));
  expect(leaf).toContain(`3024060a2b0601040183e73d010304160414${'ab'.repeat(20)}`);
});

describe('the forms of evidence', () => {
  test('a versioned attestation (.8) in either encoding is read', () => {
    for (const form of ['scale', 'msgpack'] as const) {
      expect(codes(certificate([claim(8, simulator.attestation(binding, form))]))).toEqual([]);
    }
  });

  test('a quote with its event log (.1 and .2) is read', () => {
    const leaf = certificate([claim(1, quote), claim(2, utf8(eventLog))]);
    const { crypto, findings, claims } = verify(leaf);
    expect({ crypto, findings }).toEqual({ crypto: 'valid', findings: [] });
    expect(claims?.workload?.appId).toBe(app.appId);
  });

  test('a quote without its event log, and a log without a quote, is no evidence', () => {
    expect(codes(certificate([claim(1, quote)]))).toEqual(['evidence_missing']);
    expect(codes(certificate([claim(2, utf8(eventLog))]))).toEqual(['evidence_missing']);
  });

  test('the newer form wins, also where the older one would pass', () => {
    const both = [claim(8, attestation.subarray(1)), claim(1, quote), claim(2, utf8(eventLog))];
    expect(codes(certificate(both))).toEqual(['malformed_evidence']);
  });

  test('an extension that occurs twice is refused', () => {
    expect(codes(certificate([claim(8, attestation), claim(8, attestation)]))).toEqual([
      'malformed_certificate',
    ]);
  });

  test('the inner OCTET STRING must fill the extension exactly', () => {
    const { oid, value } = claim(8, attestation);
    const longer = { oid, value: concatBytes(value, Uint8Array.of(0)) };
    expect(codes(certificate([longer]))).toEqual(['malformed_extension']);
    expect(codes(certificate([{ oid, value: attestation }]))).toEqual(['malformed_extension']);
  });

  test('a compressed value is read where the caller can inflate it, within its bound', () => {
    const gunzip = (bytes: Uint8Array, maxOutputLength: number): Uint8Array | undefined => {
      try {
        return new Uint8Array(gunzipSync(bytes, { maxOutputLength }));
      } catch {
        return undefined;
      }
    };
    const packed = (bytes: Uint8Array): Extension =>
      claim(8, concatBytes(utf8('ELGZv1'), new Uint8Array(gzipSync(bytes))));
    expect(codes(certificate([packed(attestation)]), { gunzip })).toEqual([]);
    expect(codes(certificate([packed(attestation)]))).toEqual(['malformed_extension']);
    const bomb = packed(new Uint8Array(1 << 20));
    expect(codes(certificate([bomb]), { gunzip })).toEqual(['malformed_extension']);
  });
});

describe('the binding', () => {
  test('evidence for another key is refused', () => {
    const other = new SigningKey(new Uint8Array(32), 'other');
    const leaf = certificate([claim(8, attestation)], { spki: other.spki });
    expect(codes(leaf)).toEqual(['key_binding_invalid']);
  });

  test('report data is SHA-512 over the tag and the SubjectPublicKeyInfo', () => {
    const content = concatBytes(utf8('ratls-cert:'), key.spki);
    expect(binding).toEqual(nodeCrypto.sha512(content));
  });
});

describe('the certificate around the evidence', () => {
  const evidence = claim(8, attestation);

  test('without the usage of its role it is refused', () => {
    const leaf = certificate([evidence]);
    expect(codes(leaf)).toEqual([]);
    expect(codes(leaf, { role: 'client' })).toEqual(['certificate_use_refused']);
    expect(codes(certificate([], { extensions: [evidence] }))).toEqual(['certificate_use_refused']);
    expect(codes(certificate([evidence], { usages: [keyUsage.keyCertSign] }))).toEqual([
      'certificate_use_refused',
    ]);
  });

  test('an authority, or an unknown critical extension, is refused', () => {
    expect(codes(certificate([evidence], { authority: {} }))).toEqual(['certificate_use_refused']);
    const unknown = { oid: '1.2.3.4', critical: true, value: der.nothing() };
    expect(codes(certificate([evidence, unknown]))).toEqual(['certificate_use_refused']);
  });

  test('an RSA key is refused even with evidence for it', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
    const bound = simulator.attestation(raTlsReportData(spki, nodeCrypto));
    expect(codes(certificate([claim(8, bound)], { spki }))).toEqual(['certificate_use_refused']);
  });

  test('a certificate of more than 64 KiB is refused before it is read', () => {
    const padding = claim(99, new Uint8Array(65_536));
    expect(codes(certificate([evidence, padding]))).toEqual(['malformed_certificate']);
  });
});

describe('claims beside the evidence', () => {
  const evidence = claim(8, attestation);
  const hex = (text: string): Uint8Array => fromHex(text)!;
  const info = (appId: string, fields = 8): Extension =>
    claim(
      9,
      writeMsgpack([
        hex(appId),
        hex(app.composeHash),
        hex(app.instanceId),
        ...Array.from({ length: fields - 3 }, () => new Uint8Array(32)),
      ]),
    );

  test('that agree are harmless', () => {
    const leaf = certificate([
      evidence,
      claim(3, hex(app.appId)),
      claim(4, utf8('app:custom')),
      info(app.appId),
      { oid: '1.3.6.1.4.1.62397.1.10', value: der.nothing() },
    ]);
    expect(codes(leaf)).toEqual([]);
  });

  test('that name another app are refused', () => {
    const other = '00'.repeat(20);
    expect(codes(certificate([evidence, claim(3, hex(other))]))).toEqual([
      'certificate_claim_mismatch',
    ]);
    expect(codes(certificate([evidence, info(other)]))).toEqual(['certificate_claim_mismatch']);
    expect(codes(certificate([evidence, info(app.appId, 4)]))).toEqual([
      'certificate_claim_mismatch',
    ]);
  });

  test("an authority's or the KMS's own certificate is no peer of a workload", () => {
    for (const usage of ['app:ca', 'kms:rpc', '']) {
      expect(codes(certificate([evidence, claim(4, utf8(usage))]))).toEqual([
        'special_usage_refused',
      ]);
    }
  });
});
