import { describe, expect, test } from 'vitest';
import { toHex } from '@postern/core/base';
import { configDocumentHash, verifyDstackAttestation } from '@postern/core/attest';
import { concatBytes } from '@postern/core/base';
import { writeCompact, writeScaleBytes, writeScaleText } from '@postern/core/base/scale';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { contextOf, nowMs } from './simulated.ts';
import { certificatesOf, pins, reportOf, revocationListOf, verifyReport } from './snp-pki.ts';

function codes(...input: Parameters<typeof verifyReport>): string[] {
  return verifyReport(...input).findings.map(({ code }) => code);
}

test('a report of any version from 2 to 5 is sound under its chip certificate', () => {
  for (const version of [2, 3, 4, 5]) {
    expect(verifyReport(reportOf({ version }))).toMatchObject({ crypto: 'valid', findings: [] });
  }
});

test('the claims state firmware, measurement and machine', () => {
  const { claims } = verifyReport(reportOf());
  expect(claims).toMatchObject({
    platform: 'sev-snp',
    debug: false,
    firmware: { bootloader: 4, tee: 0, snp: 23, microcode: 213 },
    measurements: { measurement: '09'.repeat(48) },
    deviceId: toHex(nodeCrypto.sha256(new Uint8Array(64).fill(7))),
  });
});

describe('chip and cloud keys', () => {
  test('a VLEK report is sound under the cloud intermediate, whatever chip it names', () => {
    const certificates = certificatesOf({ kind: 'VLEK' });
    const report = reportOf({ flags: 1 << 2, chipId: new Uint8Array(64).fill(0xaa) });
    expect(codes(report, { certificates })).toEqual([]);
  });

  test('a chip key from the cloud intermediate, and the other way round, is refused', () => {
    const mixed = certificatesOf({ kind: 'VCEK', issuer: 'VLEK' });
    expect(codes(reportOf(), { certificates: mixed })).toEqual(['chain_profile_violated']);
    const other = certificatesOf({ kind: 'VLEK', issuer: 'VCEK' });
    expect(codes(reportOf({ flags: 4 }), { certificates: other })).toEqual([
      'chain_profile_violated',
    ]);
  });

  test('a key that the root issued directly, or that is an authority itself, is refused', () => {
    for (const options of [{ issuer: 'ARK' }, { isAuthority: true }] as const) {
      const certificates = certificatesOf(options);
      expect(codes(reportOf(), { certificates })).toEqual(['chain_profile_violated']);
    }
  });

  test('a report that names the other kind of key is refused', () => {
    expect(codes(reportOf({ flags: 1 << 2 }))).toEqual(['signing_key_mismatch']);
  });

  test('a Turin certificate names eight bytes of the chip and has its own patch level layout', () => {
    const chip = new Uint8Array(8).fill(6);
    const versions = { '3.9': 1, '3.1': 2, '3.2': 3, '3.3': 4, '3.8': 5 };
    const certificates = certificatesOf({ product: 'Turin-B0', chipId: chip, versions });
    const chipId = new Uint8Array(64);
    chipId.set(chip);
    const reportedTcb = [1, 2, 3, 4, 0, 0, 0, 5];
    expect(codes(reportOf({ version: 5, chipId, reportedTcb }), { certificates })).toEqual([]);
    chipId[63] = 1;
    expect(codes(reportOf({ version: 5, chipId, reportedTcb }), { certificates })).toEqual([
      'chip_id_mismatch',
    ]);
  });

  test('a chip id wrapped in an OCTET STRING is the same chip id', () => {
    expect(codes(reportOf(), { certificates: certificatesOf({ wrapsChipId: true }) })).toEqual([]);
  });
});

describe("the host's certificate table", () => {
  const table = (blobs: readonly Uint8Array[], shift = 0): Uint8Array => {
    const head = new Uint8Array(24 * (blobs.length + 1));
    const view = new DataView(head.buffer);
    let offset = head.length;
    for (const [index, blob] of blobs.entries()) {
      head.fill(index + 1, 24 * index, 24 * index + 16);
      view.setUint32(24 * index + 16, offset + shift, true);
      view.setUint32(24 * index + 20, blob.length, true);
      offset += blob.length;
    }
    return concatBytes(head, ...blobs);
  };

  test('is read in the place of certificates, and blobs that are none are passed over', () => {
    const blobs = [...certificatesOf(), Uint8Array.of(1, 2, 3)];
    expect(codes(reportOf(), { certificates: [table(blobs)] })).toEqual([]);
  });

  test('with an entry outside of itself, or without its end, is refused', () => {
    const certificates = [table(certificatesOf(), 1)];
    expect(codes(reportOf(), { certificates })).toEqual(['malformed_certificate']);
    const endless = [new Uint8Array(24 * 20).fill(1)];
    expect(codes(reportOf(), { certificates: endless })).toEqual(['malformed_certificate']);
    expect(codes(reportOf(), { certificates: [new Uint8Array(3)] })).toEqual([
      'malformed_certificate',
    ]);
  });

  test('may repeat a certificate that a cache has too, but not bring another chip', () => {
    const once = certificatesOf();
    expect(codes(reportOf(), { certificates: [table(once), ...once] })).toEqual([]);
    const other = certificatesOf({ chipId: new Uint8Array(64) });
    expect(codes(reportOf(), { certificates: [...once, ...other] })).toEqual(['chain_missing']);
  });
});

describe('what a sound report must not be', () => {
  test('VMPL other than 0 is refused', () => {
    expect(codes(reportOf({ vmpl: 1 }))).toEqual(['vmpl_refused']);
  });

  test('a guest policy that allows debugging or migration is refused', () => {
    expect(codes(reportOf({ policy: 0xb0000n }))).toEqual(['debug_enabled']);
    expect(codes(reportOf({ policy: 0x70000n }))).toEqual(['migration_allowed']);
  });

  test('VCEK TCB other than the reported TCB is refused', () => {
    for (const suffix of ['3.1', '3.2', '3.3', '3.8']) {
      const certificates = certificatesOf({ versions: { [suffix]: 99 } });
      expect(codes(reportOf(), { certificates })).toEqual(['chip_tcb_mismatch']);
    }
  });

  test('another chip than the certificate names is refused', () => {
    expect(codes(reportOf({ chipId: new Uint8Array(64).fill(8) }))).toEqual(['chip_id_mismatch']);
  });

  test('reserved fields and policy bits that are set are named', () => {
    expect(codes(reportOf({ reserved: 1 }))).toEqual(['reserved_bits_set']);
    expect(codes(reportOf({ policy: 0x10000n }))).toEqual(['reserved_bits_set']);
    expect(codes(reportOf({ policy: 0x8000030000n }))).toEqual(['reserved_bits_set']);
  });

  test('zero padding after the report is read over, anything else is named', () => {
    expect(codes(concatBytes(reportOf(), new Uint8Array(100)))).toEqual([]);
    expect(codes(concatBytes(reportOf(), Uint8Array.of(1)))).toEqual(['trailing_bytes']);
    expect(codes(reportOf().subarray(0, 1183))).toEqual(['malformed_evidence']);
  });

  test('every byte that is signed, and the signature, is covered', () => {
    const report = reportOf({ version: 2 });
    for (let at = 0; at < 0x330; at += 7) {
      const forged = report.slice();
      forged[at] = (forged[at] ?? 0) ^ 0x10;
      expect(verifyReport(forged).crypto, `byte ${at}`).toBe('invalid');
    }
  });
});

describe('the revocation list of AMD', () => {
  test('a revoked intermediate is refused, a list about others is not', () => {
    expect(codes(reportOf(), { revocationList: revocationListOf([2]) })).toEqual([
      'certificate_revoked',
    ]);
    expect(codes(reportOf(), { revocationList: revocationListOf([3, 9]) })).toEqual([]);
  });

  test('a list that has ended, is forged or is garbage is refused', () => {
    const late = { nowMs: nowMs + 5000, revocationList: revocationListOf([]) };
    expect(codes(reportOf(), late)).toEqual(['crl_expired']);
    const forged = revocationListOf([]);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(codes(reportOf(), { revocationList: forged })).toEqual(['crl_signature_invalid']);
    expect(codes(reportOf(), { revocationList: Uint8Array.of(1, 2) })).toEqual([
      'collateral_malformed',
    ]);
  });
});

describe('dstack on SEV-SNP', () => {
  const appId = '11'.repeat(20);
  const composeHash = '22'.repeat(32);
  const document = JSON.stringify({
    app_id: appId,
    compose_hash: composeHash,
    key_provider: 'none',
  });
  const attestation = (mrConfig: string, hostData: Uint8Array): Uint8Array => {
    const reportData = new Uint8Array(64).fill(1);
    const chain = certificatesOf();
    return concatBytes(
      Uint8Array.of(0, 3),
      writeScaleBytes(reportOf({ hostData, reportData })),
      writeCompact(chain.length),
      ...chain.map(writeScaleBytes),
      writeScaleText(mrConfig),
      writeCompact(1),
      writeScaleText('app-id'),
      writeScaleBytes(new Uint8Array(20).fill(0x99)),
      reportData,
      writeScaleText('{}'),
    );
  };
  const context = contextOf({
    anchors: { intel: new Set(), amd: pins, aws: new Set() },
    intelCollateral: undefined,
  });

  test('who the workload is comes from the document in HOST_DATA, not from events that nobody signed', () => {
    const hostData = configDocumentHash(document, nodeCrypto);
    const { crypto, findings, claims } = verifyDstackAttestation(
      attestation(document, hostData),
      context,
    );
    expect({ crypto, findings }).toEqual({ crypto: 'valid', findings: [] });
    expect(claims?.workload).toMatchObject({ appId, composeHash });
  });

  test('a document that HOST_DATA does not bind names nobody', () => {
    const { crypto, claims } = verifyDstackAttestation(
      attestation(document, new Uint8Array(32)),
      context,
    );
    expect(crypto).toBe('invalid');
    expect(claims?.workload).toBeUndefined();
  });
});
