/** The form of evidence is told from its bytes, and every form comes to its own verifier. */
import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { utf8 } from '@postern/core/base';
import { der } from '@postern/core/base/der';
import {
  collateralSubject,
  evidenceKind,
  hardwareEvidence,
  openCollateral,
  subjectOfCollateral,
  vendorAnchors,
  verifyEvidence,
} from '@postern/core/attest';
import type { EvidenceKind } from '@postern/core/attest';
import { pemOf } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { documentOf } from './nitro-pki.ts';
import { anchors, contextOf, leafOf, simulator } from './simulated.ts';
import { certificatesOf, reportOf } from './snp-pki.ts';

const reportData = new Uint8Array(64).fill(7);
const { quote, eventLog } = simulator.quote(reportData);
const answer = utf8(
  JSON.stringify({
    quote: Buffer.from(quote).toString('hex'),
    event_log: eventLog,
    report_data: Buffer.from(reportData).toString('hex'),
    vm_config: '{}',
  }),
);
const leaf = leafOf();

const forms: readonly (readonly [EvidenceKind, string, Uint8Array])[] = [
  ['intel-quote', 'TDX', quote],
  ['dstack-attestation', 'SCALE', simulator.attestation(reportData, 'scale')],
  ['dstack-attestation', 'MessagePack', simulator.attestation(reportData, 'msgpack')],
  ['quote-answer', 'JSON', answer],
  ['certificate', 'DER', leaf],
  ['certificate', 'PEM', utf8(pemOf('CERTIFICATE', leaf))],
  ['snp-report', 'v3', reportOf()],
  ['nitro-document', 'COSE', documentOf()],
];

const context = {
  ...contextOf(),
  amdCertificates: certificatesOf(),
  role: 'server',
  clockSkewMsMax: 0,
} as const;

describe('the form of evidence', () => {
  test.each(forms)('%s (%s) is told from its bytes', (kind, _name, bytes) => {
    expect(evidenceKind(bytes)).toBe(kind);
  });

  test.each([
    ['nvidia-tokens', '[["JWT","eyJhbGciOiJub25lIn0.e30.AA"],{}]'],
    ['nvidia-tokens', '{"detached_eat":[]}'],
    ['azure-token', 'eyJhbGciOiJSUzI1NiJ9.e30.AA'],
    [undefined, ''],
    [undefined, 'hello'],
  ] as const)('%s is told from text', (kind, text) => {
    expect(evidenceKind(utf8(text))).toBe(kind);
  });

  test('any bytes have a form or none, and their verifier answers', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const kind = evidenceKind(bytes);
        if (kind === undefined) return;
        hardwareEvidence(kind, bytes, {});
        expect(verifyEvidence(kind, bytes, context).crypto).not.toBe('valid');
      }),
      { numRuns: 500 },
    );
  });
});

test.each(forms.slice(0, 6))('%s (%s) is verified and holds the quote', (kind, _name, bytes) => {
  const outcome = verifyEvidence(kind, bytes, context);
  expect(outcome.findings).toEqual([]);
  const { intelQuote } = hardwareEvidence(kind, bytes, context);
  expect(intelQuote).toBeDefined();
  const pins = { crypto: nodeCrypto, pins: anchors.intel };
  expect(collateralSubject(intelQuote ?? new Uint8Array(), pins)).toEqual({
    ok: true,
    value: { tee: 'tdx', fmspc: '50534d000000', ca: 'platform' },
  });
});

test('tokens that nobody trusted signed are refused', () => {
  const text = utf8('eyJhbGciOiJSUzI1NiJ9.e30.AA');
  expect(verifyEvidence('azure-token', text, context).crypto).toBe('invalid');
});

test('a certificate without evidence, and PEM without a certificate, is refused', () => {
  const none = verifyEvidence('certificate', leafOf({ usageRaTls: false }), context);
  expect(none.findings.map(({ code }) => code)).toEqual(['evidence_missing']);
  const key = utf8(pemOf('PRIVATE KEY', der.sequence()));
  const other = verifyEvidence('certificate', key, context);
  expect(other.findings.map(({ code }) => code)).toEqual(['malformed_certificate']);
});

describe('what collateral a quote needs', () => {
  test('is not said of a platform that no pinned root vouches for', () => {
    const asked = collateralSubject(quote, { crypto: nodeCrypto, pins: vendorAnchors.intel });
    expect(asked.ok ? undefined : asked.error.code).toBe('root_not_pinned');
  });

  test('is the same as what the collateral says of itself', () => {
    const pins = { crypto: nodeCrypto, pins: anchors.intel };
    const opened = openCollateral(simulator.collateral(), pins);
    const said = opened.ok ? subjectOfCollateral(opened.value) : opened;
    expect(said).toEqual(collateralSubject(quote, pins));
  });

  test('is not said of garbage', () => {
    const asked = collateralSubject(new Uint8Array(100), {
      crypto: nodeCrypto,
      pins: anchors.intel,
    });
    expect(asked.ok ? undefined : asked.error.code).toBe('malformed_evidence');
  });
});
