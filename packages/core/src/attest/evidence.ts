import { err, ok } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { readPem } from '../base/der/index.ts';
import { snpReportBytes, verifySnpReport } from './amd/index.ts';
import { unreadable } from './claims.ts';
import type { Verification } from './claims.ts';
import {
  parseDstackAttestation,
  parseQuoteAnswer,
  verifyDstackAttestation,
  verifyQuoteAnswer,
} from './dstack/index.ts';
import { finding } from './finding.ts';
import type { Finding } from './finding.ts';
import { verifyIntelQuote } from './intel/index.ts';
import { verifyNitroDocument } from './nitro/index.ts';
import { readRaTlsExtensions, verifyPeerCertificate } from './ratls/index.ts';
import { verifyAzureToken, verifyGpuEvidence } from './token/index.ts';
import type { TokenSignature } from './token/index.ts';
import type { VerifierContext } from './verifier-context.ts';
import { parseCertificate } from './x509/index.ts';

/** Every form of evidence that is verified, by the form of its bytes. */
export const evidenceKinds = [
  'intel-quote',
  'snp-report',
  'nitro-document',
  'dstack-attestation',
  'quote-answer',
  'certificate',
  'nvidia-tokens',
  'azure-token',
] as const;
export type EvidenceKind = (typeof evidenceKinds)[number];

export interface EvidenceContext extends VerifierContext {
  /** What the holder of a certificate is in the handshake. */
  readonly role: 'server' | 'client';
  readonly clockSkewMsMax: number;
  /** Whether a trusted key signed a token; without it, no token is. */
  readonly isSigned?: TokenSignature;
  readonly azureIssuers?: ReadonlySet<string>;
  /** Certificates beside the evidence: the chain of an Intel platform in PEM. */
  readonly pckChain?: Uint8Array;
}

const coseArrayOfFour = 0x84;
const nitroHeader = 0x44;
const derSequence = 0x30;
const pemBegin = '-----BEGIN ';
/** `eyJ` is how base64url begins a JSON object. */
const tokenPattern = /^eyJ[\w-]*\.[\w-]*\.[\w-]*\s*$/;

/**
 * The form of evidence, from its first bytes. No form can pass as another one: each has its own beginning, and
 * whatever is read then is read by that form's verifier alone.
 */
export function evidenceKind(bytes: Uint8Array): EvidenceKind | undefined {
  const [first, second, third, fourth] = bytes;
  if (first === derSequence) return 'certificate';
  if (first === coseArrayOfFour && second === nitroHeader) return 'nitro-document';
  const isQuoteVersion = (first === 3 || first === 4 || first === 5) && second === 0;
  if (isQuoteVersion && (third !== 0 || fourth !== 0)) return 'intel-quote';
  const isReportVersion = first !== undefined && first >= 2 && first <= 5 && second === 0;
  if (isReportVersion && bytes.length >= snpReportBytes) return 'snp-report';
  if (first === 0 || (first !== undefined && (first & 0xf0) === 0x80)) return 'dstack-attestation';
  if (first === 0xde || first === 0xdf) return 'dstack-attestation';
  return textKind(bytes);
}

/** A token and a JSON document of more than this is not evidence either. */
const headBytes = 65_536;

function textKind(bytes: Uint8Array): EvidenceKind | undefined {
  let head = '';
  for (const byte of bytes.subarray(0, headBytes)) head += String.fromCharCode(byte);
  const text = head.trimStart();
  if (text.startsWith(pemBegin)) return 'certificate';
  if (text.startsWith('[')) return 'nvidia-tokens';
  if (text.startsWith('{')) {
    return /"(?:quote|event_log|attestation)"\s*:/.test(head) ? 'quote-answer' : 'nvidia-tokens';
  }
  return tokenPattern.test(text) ? 'azure-token' : undefined;
}

/** Verifies evidence of a known form. */
export function verifyEvidence(
  kind: EvidenceKind,
  bytes: Uint8Array,
  context: EvidenceContext,
): Verification {
  const { crypto, anchors, nowMs } = context;
  switch (kind) {
    case 'intel-quote': {
      const { pckChain } = context;
      return verifyIntelQuote(bytes, {
        crypto,
        pins: anchors.intel,
        collateral: context.intelCollateral,
        nowMs,
        ...(pckChain === undefined ? {} : { pckChain }),
      });
    }
    case 'snp-report': {
      const { amdRevocationList: revocationList, amdCertificates: certificates } = context;
      const lists = revocationList === undefined ? {} : { revocationList };
      return verifySnpReport(bytes, { crypto, pins: anchors.amd, certificates, nowMs, ...lists });
    }
    case 'nitro-document':
      return verifyNitroDocument(bytes, { crypto, pins: anchors.aws, nowMs });
    case 'dstack-attestation':
      return verifyDstackAttestation(bytes, context);
    case 'quote-answer':
      return verifyQuoteAnswer(bytes, context);
    case 'certificate': {
      const der = certificateDer(bytes);
      return der.ok ? verifyPeerCertificate(der.value, context) : unreadable(der.error);
    }
    case 'nvidia-tokens':
      return verifyGpuEvidence(bytes, { crypto, isSigned: context.isSigned ?? nobody, nowMs });
    case 'azure-token': {
      const { azureIssuers: issuers = new Set<string>(), isSigned = nobody } = context;
      return verifyAzureToken(bytes, { isSigned, issuers, nowMs });
    }
  }
}

const nobody: TokenSignature = () => false;

/** The DER of one certificate, or of the first one of a PEM chain. */
export function certificateDer(bytes: Uint8Array): Result<Uint8Array, Finding> {
  if (bytes[0] === derSequence) return ok(bytes);
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  const blocks = readPem(text);
  if (!blocks.ok) return err(finding('malformed_certificate', `PEM ${blocks.error.code}`));
  const leaf = blocks.value.find(({ label }) => label === 'CERTIFICATE');
  if (leaf === undefined) return err(finding('malformed_certificate', 'no certificate in the PEM'));
  return ok(leaf.bytes);
}

/** What the hardware made, without its wrappers. */
export interface HardwareEvidence {
  readonly intelQuote?: Uint8Array;
  readonly snpReport?: Uint8Array;
  readonly nitroDocument?: Uint8Array;
  /** AMD certificates that came with a report. */
  readonly certificates?: readonly Uint8Array[];
}

/**
 * The quote, report or document inside evidence, so that its collateral can be looked up before it is verified.
 * Nothing is believed here; evidence that cannot be read, or has none of them, gives nothing.
 */
export function hardwareEvidence(
  kind: EvidenceKind,
  bytes: Uint8Array,
  context: Pick<VerifierContext, 'gunzip'>,
): HardwareEvidence {
  switch (kind) {
    case 'intel-quote':
      return { intelQuote: bytes };
    case 'snp-report':
      return { snpReport: bytes };
    case 'dstack-attestation': {
      const parsed = parseDstackAttestation(bytes);
      if (!parsed.ok) return {};
      const { platform } = parsed.value;
      if (platform.kind === 'tdx') return { intelQuote: platform.quote };
      if (platform.kind === 'nitro') return { nitroDocument: platform.document };
      return { snpReport: platform.report, certificates: platform.certificates };
    }
    case 'quote-answer': {
      const answer = parseQuoteAnswer(bytes);
      if (!answer.ok) return {};
      const { attestation, quote } = answer.value;
      return attestation === undefined
        ? { intelQuote: quote }
        : hardwareEvidence('dstack-attestation', attestation, context);
    }
    case 'certificate':
      return inCertificate(bytes, context);
    case 'nitro-document':
      return { nitroDocument: bytes };
    case 'nvidia-tokens':
    case 'azure-token':
      return {};
  }
}

function inCertificate(
  bytes: Uint8Array,
  context: Pick<VerifierContext, 'gunzip'>,
): HardwareEvidence {
  const der = certificateDer(bytes);
  const certificate = der.ok ? parseCertificate(der.value) : der;
  if (!certificate.ok) return {};
  const extensions = readRaTlsExtensions(certificate.value, context);
  if (!extensions.ok) return {};
  const { evidence } = extensions.value;
  return evidence.form === 'attestation'
    ? hardwareEvidence('dstack-attestation', evidence.bytes, context)
    : { intelQuote: evidence.quote };
}
