/**
 * Outside attestation evidence. A case names a file, what to verify it with and an instant; `crypto`, `decision` and
 * `tcb` must agree where the case states them. Files without an `evidence` list are ignored.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  classOf,
  explain,
  findingTable,
  openCollateral,
  parseCollateral,
  strictPlatformPolicy,
  appraisePlatform,
  vendorAnchors,
  verifyDstackAttestation,
  verifyGpuEvidence,
  verifyIntelQuote,
  verifyNitroDocument,
  verifyQuoteAnswer,
  verifySnpReport,
} from '@postern/core/attest';
import type {
  Finding,
  FindingCode,
  RootPins,
  TrustAnchors,
  Verification,
  VerifierContext,
} from '@postern/core/attest';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import type { CaseResult, Suite } from './suite.ts';

export interface EvidenceCase {
  readonly id: string;
  readonly kind: string;
  readonly file: string;
  readonly encoding?: string;
  readonly at: string;
  readonly with?: {
    readonly collateral?: string;
    readonly root?: string;
    readonly certs?: readonly string[];
  };
  readonly expect: { readonly crypto: string; readonly decision: string; readonly tcb?: string };
}

export const suite: Suite = async function* attestation(files) {
  for (const file of files) {
    const index: unknown = parseJson(readFileSync(file));
    if (typeof index !== 'object' || index === null || !('evidence' in index)) continue;
    // The shape is the format's; a case that breaks it fails by itself below.
    for (const evidence of index.evidence as readonly EvidenceCase[]) {
      yield judged(evidence, dirname(file));
    }
  }
};

/** A case whose files are missing or odd fails by itself and leaves the others to be judged. */
function judged(evidence: EvidenceCase, folder: string): CaseResult {
  try {
    return judge(evidence, folder);
  } catch (error) {
    return { id: evidence.id, pass: false, why: String(error) };
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function judge(evidence: EvidenceCase, folder: string): CaseResult {
  const { id, expect } = evidence;
  const outcome = verifyCase(evidence, folder);
  if (outcome === undefined) return { id, pass: false, why: `kind ${evidence.kind} is unknown` };
  const got = {
    crypto: outcome.crypto,
    decision: decisionOf(outcome, Date.parse(evidence.at)),
    tcb: tcbOf(outcome),
  };
  const wrong: string[] = [];
  if (got.crypto !== expect.crypto) wrong.push(`crypto ${got.crypto}, want ${expect.crypto}`);
  if (got.decision !== expect.decision) {
    wrong.push(`decision ${got.decision}, want ${expect.decision}`);
  }
  if (expect.tcb !== undefined && got.tcb !== expect.tcb) {
    wrong.push(`tcb ${got.tcb}, want ${expect.tcb}`);
  }
  const reasons = outcome.findings.map(explain).join(' ');
  return { id, pass: wrong.length === 0, why: [...wrong, reasons].join('; ') };
}

function tcbOf({ claims, findings }: Verification): string | undefined {
  const hasNoLevel = findings.some(({ code }) => code === 'tcb_no_matching_level');
  return hasNoLevel ? 'no matching level' : claims?.tcb?.status;
}

/**
 * `unappraised` is the suite's word for "only the collateral is missing": posture that a policy judges does not
 * count then, what voids the evidence by itself does.
 */
function decisionOf(outcome: Verification, nowMs: number): string {
  const { refusals } = appraisePlatform(outcome, strictPlatformPolicy, nowMs);
  if (refusals.length === 0) return 'accept';
  const isMissing = ({ code }: Finding): boolean => code === 'collateral_missing';
  const voids = ({ code }: Finding): boolean =>
    outright.has(code) || voidClasses.has(classOf(code));
  return refusals.some(isMissing) && !refusals.some(voids) ? 'unappraised' : 'reject';
}

const voidClasses = new Set<string>(['form', 'crypto', 'unsigned', 'window']);
const outright = new Set<FindingCode>(['debug_enabled']);
// A renamed code must not silently stop to count.
if (!('debug_enabled' in findingTable)) throw new Error('debug_enabled is no finding');

/** The bytes of a case, and everything that it is verified with. */
export function openCase(
  evidence: EvidenceCase,
  folder: string,
): { readonly bytes: Uint8Array; readonly context: VerifierContext } {
  const read = (name: string): Buffer => readFileSync(join(folder, name));
  const bytes = decode(read(evidence.file), evidence.encoding);
  return { bytes, context: contextOf(evidence, read, Date.parse(evidence.at)) };
}

function verifyCase(evidence: EvidenceCase, folder: string): Verification | undefined {
  const { bytes, context } = openCase(evidence, folder);
  const { crypto, anchors, nowMs } = context;
  switch (evidence.kind) {
    case 'tdx-quote':
    case 'sgx-quote':
      return verifyIntelQuote(bytes, {
        crypto,
        pins: anchors.intel,
        collateral: context.intelCollateral,
        nowMs,
        ...(context.amdCertificates.length === 0 ? {} : { pckChain: pemOf(context) }),
      });
    case 'snp-report':
      return verifySnpReport(bytes, {
        crypto,
        pins: anchors.amd,
        certificates: context.amdCertificates,
        nowMs,
      });
    case 'dstack-v0':
    case 'dstack-v1':
      return verifyDstackAttestation(bytes, context);
    case 'dstack-getquote':
      return verifyQuoteAnswer(bytes, context);
    case 'nvidia-eat':
      return verifyGpuEvidence(bytes, { crypto, isSigned: () => false, nowMs });
    default:
      return evidence.kind.startsWith('nitro')
        ? verifyNitroDocument(bytes, { crypto, pins: anchors.aws, nowMs })
        : undefined;
  }
}

/** Certificates beside an Intel quote: its platform chain, for quotes that do not carry one. */
function pemOf({ amdCertificates }: VerifierContext): Uint8Array {
  return new Uint8Array(Buffer.concat(amdCertificates));
}

function contextOf(
  { with: given = {} }: EvidenceCase,
  read: (name: string) => Buffer,
  nowMs: number,
): VerifierContext {
  const certificates = given.certs ?? [];
  const anchors = anchorsOf(given.root === undefined ? undefined : read(given.root));
  const pins = { crypto: nodeCrypto, pins: anchors.intel };
  const parsed =
    given.collateral === undefined ? undefined : parseCollateral(read(given.collateral));
  return {
    crypto: nodeCrypto,
    anchors,
    nowMs,
    intelCollateral: parsed?.ok === true ? openCollateral(parsed.value, pins) : parsed,
    amdCertificates: certificates.map(read),
  };
}

/** The root that a case names is the only one believed for it; without one, the vendors' own. */
function anchorsOf(root: Buffer | undefined): TrustAnchors {
  if (root === undefined) return vendorAnchors;
  const pem = /-----BEGIN CERTIFICATE-----([^-]*)-----END/.exec(root.toString('latin1'))?.[1];
  const der = pem === undefined ? root : Buffer.from(pem, 'base64');
  const pins: RootPins = new Set([Buffer.from(nodeCrypto.sha256(der)).toString('hex')]);
  return { intel: pins, amd: vendorAnchors.amd, aws: pins };
}

/** `hex`, `base64`, or `json:path|encoding`; no encoding means that the file is the evidence. */
function decode(bytes: Buffer, encoding: string | undefined): Uint8Array {
  if (encoding === undefined) return new Uint8Array(bytes);
  if (encoding.startsWith('json:')) {
    const [path = '', inner = ''] = encoding.slice('json:'.length).split('|');
    let value: unknown = parseJson(bytes);
    for (const key of path.split('.')) {
      value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
    }
    return decodeText(typeof value === 'string' ? value : '', inner);
  }
  return decodeText(bytes.toString('utf8'), encoding);
}

function decodeText(text: string, encoding: string): Uint8Array {
  const compact = text.replaceAll(/\s/g, '');
  if (encoding === 'hex') return new Uint8Array(Buffer.from(compact.replace(/^0x/, ''), 'hex'));
  if (encoding === 'base64') return new Uint8Array(Buffer.from(compact, 'base64'));
  throw new Error(`unknown encoding ${encoding}`);
}
