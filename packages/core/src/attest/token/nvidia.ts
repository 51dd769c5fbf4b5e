import { fromHex, toHex, utf8 } from '../../base/bytes.ts';
import type { JsonObject, JsonValue } from '../../base/json-value.ts';
import { unreadable, verification } from '../claims.ts';
import type { Verification } from '../claims.ts';
import type { CryptoPort } from '../crypto-port.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import {
  objectOf,
  parseToken,
  parseTokenDocument,
  signatureFindings,
  timeFindings,
  timesOf,
} from './jwt.ts';
import type { Token, TokenSignature } from './jwt.ts';

export interface GpuContext {
  readonly crypto: CryptoPort;
  readonly isSigned: TokenSignature;
  readonly nowMs: number;
  /**
   * SHA-256 of GPU evidence that a measured boot accepted (`gpuEvidenceHash` of the workload's claims).
   * Evidence with this hash is believed without a signature, since measured code checked it.
   */
  readonly measuredHash?: string;
}

/** One token for the whole platform and one for each GPU, bound to it by digest (a detached EAT). */
interface DetachedEat {
  readonly overall: Token;
  readonly parts: ReadonlyMap<string, Token>;
}

/** NVIDIA's Remote Attestation Service signs with this algorithm and no other. */
const algorithms = ['ES384'];
const gpusMax = 64;

/** The compact tokens in GPU evidence, for the signature check before; none where it is malformed. */
export function gpuTokens(bytes: Uint8Array): readonly string[] {
  const eat = readEat(parseTokenDocument(bytes));
  return 'overall' in eat ? [eat.overall, ...eat.parts.values()].map(({ text }) => text) : [];
}

/** Verifies NVIDIA GPU evidence: a detached EAT alone, or inside the output of the attestation tool. */
export function verifyGpuEvidence(bytes: Uint8Array, context: GpuContext): Verification {
  const eat = readEat(parseTokenDocument(bytes));
  if (!('overall' in eat)) return unreadable(eat);
  const { overall, parts } = eat;
  const findings = [
    ...evidenceSignature(bytes, eat, context),
    ...digestFindings(eat, context.crypto),
    ...resultFindings(eat),
  ];
  const times = timesOf(overall.claims);
  findings.push(...timeFindings(times, context.nowMs));
  const nonce = overall.claims['eat_nonce'];
  return verification(findings, {
    platform: 'nvidia-gpu',
    reportData: (typeof nonce === 'string' ? fromHex(nonce) : undefined) ?? new Uint8Array(),
    debug: [...parts.values()].some(({ claims }) => claims['dbgstat'] !== 'disabled'),
    measurements: Object.fromEntries(
      [...parts].flatMap(([name, { claims }]) => facts(name, claims)),
    ),
    tcb: undefined,
    firmware: undefined,
    deviceId: undefined,
    workload: undefined,
    issuedAtMs: times.issuedAtMs,
    window: times,
  });
}

function readEat(document: JsonValue | undefined): DetachedEat | Finding {
  const detached = Array.isArray(document) ? document : objectOf(document)?.['detached_eat'];
  if (!Array.isArray(detached)) return finding('malformed_token', 'no detached EAT');
  // Array.isArray gives any[]; the elements are JSON values by the parser.
  const [head, submodules, ...more] = detached as readonly JsonValue[];
  const pair = Array.isArray(head) ? (head as readonly JsonValue[]) : [];
  const parts = objectOf(submodules);
  if (pair[0] !== 'JWT' || typeof pair[1] !== 'string' || parts === undefined || more.length > 0) {
    return finding('malformed_token', 'shape of the detached EAT');
  }
  const overall = parseToken(pair[1]);
  if (!overall.ok) return overall.error;
  const tokens = new Map<string, Token>();
  for (const [name, text] of Object.entries(parts)) {
    const token = parseToken(typeof text === 'string' ? text : '');
    if (!token.ok) return token.error;
    tokens.set(name, token.value);
  }
  if (tokens.size === 0 || tokens.size > gpusMax) return finding('malformed_token', 'no GPUs');
  return { overall: overall.value, parts: tokens };
}

function evidenceSignature(
  bytes: Uint8Array,
  { overall, parts }: DetachedEat,
  { crypto, measuredHash, isSigned }: GpuContext,
): Finding[] {
  if (measuredHash !== undefined) {
    return toHex(crypto.sha256(bytes)) === measuredHash
      ? []
      : [finding('gpu_evidence_unbound', 'not what the measured boot accepted')];
  }
  const expected = { algorithms, isSigned };
  return [overall, ...parts.values()].flatMap((token) => signatureFindings(token, expected));
}

/** Each part is bound to the whole by the SHA-256 of its compact form, and answers the same nonce. */
function digestFindings({ overall, parts }: DetachedEat, crypto: CryptoPort): Finding[] {
  const submodules = objectOf(overall.claims['submods']) ?? {};
  const findings: Finding[] = [];
  for (const name of Object.keys(submodules)) {
    if (!parts.has(name)) findings.push(finding('report_data_mismatch', `${name} is missing`));
  }
  for (const [name, token] of parts) {
    const hex = toHex(crypto.sha256(utf8(token.text)));
    if (JSON.stringify(submodules[name]) !== JSON.stringify(['DIGEST', ['SHA256', hex]])) {
      findings.push(finding('report_data_mismatch', `${name} is not part of the whole`));
    }
    if (token.claims['eat_nonce'] !== overall.claims['eat_nonce']) {
      findings.push(finding('report_data_mismatch', `${name} answers another nonce`));
    }
  }
  return findings;
}

function resultFindings({ overall, parts }: DetachedEat): Finding[] {
  const findings: Finding[] = [];
  if (overall.claims['x-nvidia-overall-att-result'] !== true) {
    findings.push(finding('tcb_status_refused', 'overall result'));
  }
  for (const [name, { claims }] of parts) {
    if (claims['measres'] !== 'success') {
      findings.push(finding('tcb_status_refused', `${name} measurements`));
    }
    if (claims['secboot'] !== true)
      findings.push(finding('tcb_status_refused', `${name} secure boot`));
    if (claims['dbgstat'] !== 'disabled') findings.push(finding('debug_enabled', name));
  }
  return findings;
}

function facts(name: string, claims: JsonObject): [string, string][] {
  const wanted = {
    model: claims['hwmodel'],
    ueid: claims['ueid'],
    driver: claims['x-nvidia-gpu-driver-version'],
    vbios: claims['x-nvidia-gpu-vbios-version'],
  };
  return Object.entries(wanted).flatMap(([key, value]): [string, string][] =>
    typeof value === 'string' ? [[`${name}.${key}`, value]] : [],
  );
}
