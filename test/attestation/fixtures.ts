/** The outside evidence, unwrapped down to what hardware signed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import {
  hardwareEvidence,
  parseNitroDocument,
  verifyIntelQuote,
  verifyNitroDocument,
  verifySnpReport,
} from '@postern/core/attest';
import type { EvidenceKind, Verification } from '@postern/core/attest';
import { openCase } from '../harness/attestation.ts';
import type { EvidenceCase } from '../harness/attestation.ts';
import { intelFields, snpFields } from './signed-fields.ts';
import type { Field } from './signed-fields.ts';

export interface Fixture {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly fields: readonly Field[];
  readonly verify: (bytes: Uint8Array) => Verification;
}

const vectors = process.env['POSTERN_VECTORS'];
export const hasFixtures = vectors !== undefined;
const folder = join(vectors ?? '', 'attestation');

const kinds: Readonly<Record<string, EvidenceKind>> = {
  'tdx-quote': 'intel-quote',
  'sgx-quote': 'intel-quote',
  'snp-report': 'snp-report',
  'dstack-v0': 'dstack-attestation',
  'dstack-v1': 'dstack-attestation',
  'dstack-getquote': 'quote-answer',
};

/** One fixture for each file whose signatures hold; the same file at another time says nothing new. */
export function fixtures(): readonly Fixture[] {
  if (!hasFixtures) return [];
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
    readonly evidence: readonly EvidenceCase[];
  };
  const seen = new Set<string>();
  const found: Fixture[] = [];
  for (const evidence of index.evidence) {
    if (evidence.expect.crypto !== 'valid' || seen.has(evidence.file)) continue;
    const fixture = unwrap(evidence);
    if (fixture === undefined) continue;
    seen.add(evidence.file);
    found.push(fixture);
  }
  return found;
}

function unwrap(evidence: EvidenceCase): Fixture | undefined {
  const kind = kinds[evidence.kind];
  if (kind === undefined) return undefined;
  const { bytes, context } = openCase(evidence, folder);
  const { crypto, anchors, nowMs, amdCertificates } = context;
  const { intelQuote, snpReport, nitroDocument, certificates } = hardwareEvidence(
    kind,
    bytes,
    context,
  );
  const { id } = evidence;
  if (intelQuote !== undefined) {
    const pckChain = new Uint8Array(Buffer.concat(amdCertificates));
    const beside = pckChain.length === 0 ? {} : { pckChain };
    const quoteContext = { crypto, pins: anchors.intel, collateral: undefined, nowMs, ...beside };
    const verify = (quote: Uint8Array) => verifyIntelQuote(quote, quoteContext);
    return { id, bytes: intelQuote, fields: intelFields(intelQuote), verify };
  }
  if (snpReport !== undefined) {
    const all = [...(certificates ?? []), ...amdCertificates];
    const reportContext = { crypto, pins: anchors.amd, certificates: all, nowMs };
    const verify = (report: Uint8Array) => verifySnpReport(report, reportContext);
    return { id, bytes: snpReport, fields: snpFields, verify };
  }
  if (nitroDocument === undefined) return undefined;
  const verify = (document: Uint8Array) =>
    verifyNitroDocument(document, { crypto, pins: anchors.aws, nowMs });
  return { id, bytes: nitroDocument, fields: nitroFields(nitroDocument), verify };
}

/** The fields of the document as they stand in its bytes: each one is inside the signed payload. */
function nitroFields(bytes: Uint8Array): readonly Field[] {
  const document = parseNitroDocument(bytes);
  if (!document.ok) throw new Error(document.error.what);
  const { protectedHeader, payload, signature, certificate, caBundle, pcrs } = document.value;
  const field = (name: string, part: Uint8Array): Field => [name, offsetOf(part), part.length];
  // Parsed parts are views into the document, so where they stand is known.
  const offsetOf = (part: Uint8Array): number => part.byteOffset - bytes.byteOffset;
  const named = ['module_id', 'digest', 'timestamp', 'pcrs', 'nonce', 'public_key', 'user_data'];
  const text = Buffer.from(bytes).toString('latin1');
  const keys = named.flatMap((name): Field[] => {
    const at = text.indexOf(name, offsetOf(payload));
    return at < 0 ? [] : [[name, at, name.length + 4]];
  });
  return [
    field('protected header', protectedHeader),
    field('payload', payload),
    ...keys,
    ...[...pcrs].map(([number, value]) => field(`PCR${number}`, value)),
    field('certificate', certificate),
    ...caBundle.map((each, index) => field(`cabundle ${index}`, each)),
    field('signature', signature),
  ];
}
