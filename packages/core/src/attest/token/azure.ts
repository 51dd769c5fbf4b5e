import { fromHex } from '../../base/bytes.ts';
import type { JsonObject, JsonValue } from '../../base/json-value.ts';
import { unreadable, verification } from '../claims.ts';
import type { Verification } from '../claims.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import {
  objectOf,
  parseToken,
  signatureFindings,
  textOfToken,
  timeFindings,
  timesOf,
} from './jwt.ts';
import type { TokenSignature } from './jwt.ts';

export interface AzureContext {
  readonly isSigned: TokenSignature;
  /** Exact `iss` values that are believed, such as `https://sharedeus.eus.attest.azure.net`. */
  readonly issuers: ReadonlySet<string>;
  readonly nowMs: number;
}

/** Microsoft Azure Attestation signs with this algorithm. */
const algorithms = ['RS256'];

/** How a kind of confidential VM names its facts in the token. */
interface VmKind {
  readonly data: string;
  readonly registers: readonly string[];
  readonly debug: string;
}

/** A map and not an object: the key comes out of the token, and objects have keys of their own. */
const kinds: ReadonlyMap<JsonValue | undefined, VmKind> = new Map([
  [
    'sevsnpvm',
    {
      data: 'x-ms-sevsnpvm-reportdata',
      registers: ['x-ms-sevsnpvm-launchmeasurement', 'x-ms-sevsnpvm-hostdata'],
      debug: 'x-ms-sevsnpvm-is-debuggable',
    },
  ],
  [
    'tdxvm',
    {
      data: 'tdx_report_data',
      registers: ['tdx_mrtd', 'tdx_rtmr0', 'tdx_rtmr1', 'tdx_rtmr2', 'tdx_rtmr3', 'tdx_mrconfigid'],
      debug: 'tdx_td_attributes_debug',
    },
  ],
]);

const compliant = 'azure-compliant-cvm';

/**
 * Verifies a token of Microsoft Azure Attestation about a confidential VM. The `jku` of the header is not
 * followed: keys come from the pinned issuer.
 */
export function verifyAzureToken(bytes: Uint8Array, context: AzureContext): Verification {
  const token = parseToken(textOfToken(bytes));
  if (!token.ok) return unreadable(token.error);
  const { claims } = token.value;
  const { isSigned, issuers, nowMs } = context;
  const findings = signatureFindings(token.value, { algorithms, isSigned });
  const issuer = claims['iss'];
  if (typeof issuer !== 'string' || !issuers.has(issuer)) {
    findings.push(finding('root_not_pinned', `issuer ${JSON.stringify(issuer ?? null)}`));
  }
  const times = timesOf(claims);
  findings.push(...timeFindings(times, nowMs));
  const tee = objectOf(claims['x-ms-isolation-tee']) ?? claims;
  const kind = kinds.get(tee['x-ms-attestation-type']);
  if (kind === undefined) findings.push(finding('unsupported_evidence', 'attestation type'));
  else findings.push(...vmFindings(tee, kind.debug));
  const data = kind === undefined ? undefined : tee[kind.data];
  return verification(findings, {
    platform: 'azure',
    reportData: (typeof data === 'string' ? fromHex(data) : undefined) ?? new Uint8Array(),
    debug: kind === undefined || tee[kind.debug] !== false,
    measurements: registersOf(tee, kind?.registers ?? []),
    tcb: undefined,
    firmware: undefined,
    deviceId: undefined,
    workload: undefined,
    issuedAtMs: times.issuedAtMs,
    window: times,
  });
}

function vmFindings(tee: JsonObject, debug: string): Finding[] {
  const findings: Finding[] = [];
  if (tee['x-ms-compliance-status'] !== compliant) {
    findings.push(
      finding('tcb_status_refused', JSON.stringify(tee['x-ms-compliance-status'] ?? null)),
    );
  }
  if (tee[debug] !== false) findings.push(finding('debug_enabled', debug));
  return findings;
}

function registersOf(tee: JsonObject, names: readonly string[]): Record<string, string> {
  const registers: Record<string, string> = {};
  for (const name of names) {
    const value = tee[name];
    if (typeof value === 'string') registers[name] = value.toLowerCase();
  }
  return registers;
}
