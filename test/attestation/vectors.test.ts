/** Real evidence: the outside cases, and the same evidence with something changed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { toHex } from '@postern/core/base';
import {
  openCollateral,
  parseIntelQuote,
  vendorAnchors,
  verifyDstackAttestation,
  verifyIntelQuote,
  verifySnpReport,
} from '@postern/core/attest';
import type { IntelCollateralSource, Verification, VerifierContext } from '@postern/core/attest';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { suite } from '../harness/attestation.ts';

const vectors = process.env['POSTERN_VECTORS'];
const folder = join(vectors ?? '', 'attestation');

function read(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(folder, name)));
}

function collateralOf(name: string): IntelCollateralSource {
  return JSON.parse(readFileSync(join(folder, 'collateral', name), 'utf8'));
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = bytes.slice();
  changed[at] = (changed[at] ?? 0) ^ 0x01;
  return changed;
}

/** First, middle and last byte of each field, so that no field is out of reach. */
function probes(fields: readonly (readonly [name: string, at: number, length: number])[]) {
  return fields.flatMap(([name, at, length]) =>
    [...new Set([0, length >> 1, length - 1])].map((offset) => [name, at + offset] as const),
  );
}

describe.skipIf(vectors === undefined)('outside evidence (POSTERN_VECTORS)', () => {
  test('every outside case agrees', async () => {
    const verdicts = [];
    for await (const verdict of suite([join(folder, 'index.json')])) verdicts.push(verdict);
    expect(verdicts.filter(({ pass }) => !pass)).toEqual([]);
    expect(verdicts.length).toBeGreaterThan(30);
  });

  test('the pinned roots are the published ones', () => {
    const bundles = ['milan-ask-ark', 'genoa-ask-ark-asvk', 'turin-ask-ark-asvk'].map((name) =>
      read(`roots/amd-${name}.pem`),
    );
    const ders = bundles.flatMap((bundle) =>
      [
        ...Buffer.from(bundle)
          .toString('latin1')
          .matchAll(/-----BEGIN CERTIFICATE-----([^-]*)/g),
      ].map(([, body = '']) => new Uint8Array(Buffer.from(body, 'base64'))),
    );
    const hashes = ders.map((der) => toHex(nodeCrypto.sha256(der)));
    expect(hashes.filter((hash) => vendorAnchors.amd.has(hash))).toHaveLength(3);
    const intel = toHex(nodeCrypto.sha256(read('roots/intel-sgx-root.der')));
    expect(vendorAnchors.intel.has(intel)).toBe(true);
  });

  describe('Intel quotes', () => {
    const verify = (bytes: Uint8Array): Verification =>
      verifyIntelQuote(bytes, {
        crypto: nodeCrypto,
        pins: vendorAnchors.intel,
        collateral: undefined,
        nowMs: Date.UTC(2025, 6, 1),
      });

    const header = [
      ['version', 0, 2],
      ['attestation key type', 2, 2],
      ['TEE type', 4, 4],
      ['QE and PCE SVN', 8, 4],
      ['QE vendor id', 12, 16],
      ['user data', 28, 20],
    ] as const;
    const td = (at: number) =>
      [
        ['TEE_TCB_SVN', at, 16],
        ['MRSEAM', at + 16, 48],
        ['MRSIGNERSEAM', at + 64, 48],
        ['SEAMATTRIBUTES', at + 112, 8],
        ['TDATTRIBUTES', at + 120, 8],
        ['XFAM', at + 128, 8],
        ['MRTD', at + 136, 48],
        ['MRCONFIGID', at + 184, 48],
        ['MROWNER', at + 232, 48],
        ['MROWNERCONFIG', at + 280, 48],
        ['RTMR0', at + 328, 48],
        ['RTMR1', at + 376, 48],
        ['RTMR2', at + 424, 48],
        ['RTMR3', at + 472, 48],
        ['REPORTDATA', at + 520, 64],
      ] as const;
    const sgx = (at: number) =>
      [
        ['CPUSVN', at, 16],
        ['MISCSELECT', at + 16, 4],
        ['ISVEXTPRODID', at + 32, 16],
        ['ATTRIBUTES', at + 48, 16],
        ['MRENCLAVE', at + 64, 32],
        ['MRSIGNER', at + 128, 32],
        ['CONFIGID', at + 192, 64],
        ['ISVPRODID', at + 256, 2],
        ['ISVSVN', at + 258, 2],
        ['CONFIGSVN', at + 260, 2],
        ['ISVFAMILYID', at + 304, 16],
        ['REPORTDATA', at + 320, 64],
      ] as const;
    const signatureData = (at: number, gap: number) =>
      [
        ['quote signature', at + 4, 64],
        ['attestation key', at + 68, 64],
        ...sgx(at + 132 + gap).map(
          ([name, field, length]) => [`QE ${name}`, field, length] as const,
        ),
        ['QE report signature', at + 516 + gap, 64],
        ['QE auth size', at + 580 + gap, 2],
        ['QE auth data', at + 582 + gap, 32],
        ['certification type', at + 614 + gap, 2],
        ['certification size', at + 616 + gap, 4],
        ['PCK certificate', at + 660 + gap, 1200],
      ] as const;

    const td15 = [
      ['body type', 48, 2],
      ['body size', 50, 4],
      ...td(54),
      ['TEE_TCB_SVN_2', 638, 16],
      ['MRSERVICETD', 654, 48],
    ] as const;
    test.each([
      ['TDX v4', 'tdx/v4-uptodate.bin', [...header, ...td(48), ...signatureData(632, 6)]],
      ['TDX v5', 'tdx/v5-td15-outdated.bin', [...header, ...td15, ...signatureData(702, 6)]],
      ['SGX v3', 'sgx/v3.bin', [...header, ...sgx(48), ...signatureData(432, 0)]],
    ] as const)('%s: one changed byte in any field is refused', (_name, file, fields) => {
      const quote = read(file);
      expect(verify(quote).crypto).toBe('valid');
      for (const [name, at] of probes(fields)) {
        expect(verify(flipped(quote, at)).crypto, `${name}, byte ${at}`).toBe('invalid');
      }
    });

    test('a quote cut short anywhere is refused', () => {
      const quote = read('tdx/v4-edgeless.dat');
      for (let length = 0; length < quote.length; length += 97) {
        expect(verify(quote.subarray(0, length)).crypto, `${length} bytes`).toBe('invalid');
      }
    });

    test('non-zero trailing bytes are named, zero padding is not', () => {
      const quote = read('tdx/v4-uptodate.bin');
      expect(verify(flipped(quote, quote.length - 1)).findings.map(({ code }) => code)).toEqual([
        'trailing_bytes',
        'collateral_missing',
      ]);
    });
  });

  describe('Intel collateral', () => {
    const source = vectors === undefined ? undefined : collateralOf('tdx-b0c06f-2025-06.json');
    const context = { crypto: nodeCrypto, pins: vendorAnchors.intel };
    const at = Date.UTC(2025, 6, 1);
    const codes = (changes: Partial<IntelCollateralSource>, nowMs = at): string[] => {
      const collateral = openCollateral({ ...source!, ...changes }, context);
      const quote = read('tdx/v4-uptodate.bin');
      return verifyIntelQuote(quote, { ...context, collateral, nowMs }).findings.map(
        ({ code }) => code,
      );
    };
    const changed = (text: string, index: number): string => {
      const digit = text.charAt(index) === '0' ? '1' : '0';
      return `${text.slice(0, index)}${digit}${text.slice(index + 1)}`;
    };

    test('is accepted as it is', () => {
      expect(codes({})).toEqual([]);
    });

    test.each(['root_ca_crl', 'pck_crl'] as const)('%s forged at any byte is refused', (name) => {
      const text = source![name];
      for (let index = 0; index < text.length; index += 41) {
        expect(codes({ [name]: changed(text, index) }), `digit ${index}`).not.toEqual([]);
      }
    });

    test.each(['tcb_info', 'qe_identity'] as const)('%s changed anywhere is refused', (name) => {
      const text = source![name];
      for (let index = 0; index < text.length; index += 37) {
        expect(codes({ [name]: changed(text, index) }), `character ${index}`).not.toEqual([]);
      }
    });

    test('garbage, empty and forged lists are refused, whichever list', () => {
      for (const name of ['root_ca_crl', 'pck_crl'] as const) {
        for (const list of ['', '00', 'zz', 'deadbeef', source!.tcb_info_signature]) {
          expect(codes({ [name]: list })).toEqual(['collateral_malformed']);
        }
        const text = source![name];
        expect(codes({ [name]: changed(text, text.length - 1) })).toEqual([
          'crl_signature_invalid',
        ]);
      }
    });

    test('the list of another authority is refused in the place of either list', () => {
      expect(codes({ pck_crl: source!.root_ca_crl })).toEqual(['crl_issuer_mismatch']);
      expect(codes({ root_ca_crl: source!.pck_crl })).toEqual(['crl_issuer_mismatch']);
      const { pck_crl, pck_crl_issuer_chain } = collateralOf('sgx-00a067-2025-06.json');
      expect(codes({ pck_crl, pck_crl_issuer_chain })).toEqual(['crl_issuer_mismatch']);
    });

    test('an expired list is refused', () => {
      expect(codes({}, Date.UTC(2025, 6, 25))).toContain('crl_expired');
    });

    test('statements of another platform are refused', () => {
      const other = collateralOf('sgx-00a067-2025-06.json');
      expect(
        codes({
          ...other,
          pck_crl: source!.pck_crl,
          pck_crl_issuer_chain: source!.pck_crl_issuer_chain,
        }),
      ).toContain('fmspc_mismatch');
      const { qe_identity, qe_identity_signature } = other;
      expect(codes({ qe_identity, qe_identity_signature })).toEqual(['collateral_malformed']);
    });

    test('a statement signed by a certificate that may not sign statements is refused', () => {
      const chain = source!.pck_crl_issuer_chain;
      expect(codes({ tcb_info_issuer_chain: chain })).toEqual(['collateral_chain_invalid']);
    });
  });

  describe('SEV-SNP reports', () => {
    const fields = [
      ['version', 0, 4],
      ['guest SVN', 4, 4],
      ['policy', 8, 8],
      ['family id', 0x10, 16],
      ['image id', 0x20, 16],
      ['VMPL', 0x30, 4],
      ['signature algorithm', 0x34, 4],
      ['current TCB', 0x38, 8],
      ['platform info', 0x40, 8],
      ['signer info', 0x48, 4],
      ['report data', 0x50, 64],
      ['measurement', 0x90, 48],
      ['host data', 0xc0, 32],
      ['id key digest', 0xe0, 48],
      ['author key digest', 0x110, 48],
      ['report id', 0x140, 32],
      ['migration agent', 0x160, 32],
      ['reported TCB', 0x180, 8],
      ['CPUID', 0x188, 3],
      ['chip id', 0x1a0, 64],
      ['committed TCB', 0x1e0, 8],
      ['launch TCB', 0x1f0, 8],
      ['signature r', 0x2a0, 48],
      ['signature s', 0x2e8, 48],
    ] as const;

    test.each([
      ['v2', 'sev/report-v2.bin', 'sev/milan-vcek-2023.der', Date.UTC(2023, 6, 1)],
      ['v5', 'sev/report-v5-x25519.bin', 'sev/gcp-milan-vcek-b.pem', Date.UTC(2026, 0, 1)],
    ] as const)('%s: one changed byte in any field is refused', (_name, file, vcek, nowMs) => {
      const certificates = [read(vcek), read('roots/amd-milan-ask-ark.pem')];
      const pins = vendorAnchors.amd;
      const verify = (bytes: Uint8Array): string =>
        verifySnpReport(bytes, { crypto: nodeCrypto, pins, certificates, nowMs }).crypto;
      const report = read(file);
      expect(verify(report)).toBe('valid');
      for (const [name, at] of probes(fields)) {
        expect(verify(flipped(report, at)), `${name}, byte ${at}`).toBe('invalid');
      }
    });
  });

  describe('dstack attestations', () => {
    const context: VerifierContext = {
      crypto: nodeCrypto,
      anchors: vendorAnchors,
      nowMs: Date.UTC(2025, 11, 25, 13, 15, 37),
      intelCollateral: undefined,
      amdCertificates: [],
    };

    test('a Nitro document with a changed byte is refused, wherever the byte is', () => {
      const attestation = read('dstack/nitro-attestation.bin');
      expect(verifyDstackAttestation(attestation, context).crypto).toBe('valid');
      // What follows the document is the wrapper: events, report data, and the host's own configuration.
      for (let at = 0; at < attestation.length - 150; at += 53) {
        const { crypto } = verifyDstackAttestation(flipped(attestation, at), context);
        expect(crypto, `byte ${at}`).toBe('invalid');
      }
    });

    test("the simulator's form with overwritten report data does not verify", () => {
      const attestation = read('dstack/simulator/attestation.bin');
      const start = attestation.findIndex((_, at) => at > 4 && parseAt(attestation, at));
      const patched = attestation.slice();
      patched.fill(0x77, start + 568, start + 632);
      expect(verifyDstackAttestation(attestation, context).crypto).toBe('valid');
      expect(verifyDstackAttestation(patched, context).crypto).toBe('invalid');
    });

    const parseAt = (bytes: Uint8Array, at: number): boolean =>
      bytes[at] === 4 && parseIntelQuote(bytes.subarray(at, at + 5010)).ok;
  });
});
