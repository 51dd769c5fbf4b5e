import type { Claims, Platform, TcbStatus, Verification } from '../claims.ts';
import { classOf, finding } from '../finding.ts';
import type { Finding, FindingCode } from '../finding.ts';

/** Findings of class `posture` that a policy may tolerate. Debug is not among them. */
export const waivable = [
  'migration_allowed',
  'sept_ve_enabled',
  'reserved_bits_set',
  'service_td_present',
  'vmpl_refused',
  'trailing_bytes',
] as const satisfies readonly FindingCode[];
export type Waivable = (typeof waivable)[number];

/** A TCB status that is accepted besides `UpToDate`. */
export interface TcbAllowance {
  readonly status: Exclude<TcbStatus, 'UpToDate' | 'Revoked'>;
  /** Advisories that were looked at and accepted. Any other one refuses. */
  readonly advisories: readonly string[];
  /** Epoch ms. An exception without an end becomes the rule. */
  readonly untilMs: number;
}

/** Which platforms are sound enough, whatever runs on them. */
export interface PlatformPolicy {
  readonly platforms: readonly Platform[];
  readonly tcb: readonly TcbAllowance[];
  /** Least TCB evaluation data number of Intel collateral; 0 for any. */
  readonly evaluationNumberMin: number;
  /** Least firmware versions by component, for platforms that state versions (AMD). */
  readonly firmwareMin: Readonly<Record<string, number>>;
  readonly waived: readonly Waivable[];
  /** Age of evidence that states when it was made. */
  readonly evidenceAgeMsMax: number;
  readonly clockSkewMsMax: number;
  /** How long a verdict may be used before the evidence is appraised again. */
  readonly verdictAgeMsMax: number;
}

const minute = 60_000;

/** Everything sound, current and closed: what is used unless an operator writes something else. */
export const strictPlatformPolicy: PlatformPolicy = Object.freeze({
  platforms: ['sgx', 'tdx', 'sev-snp', 'nitro', 'azure', 'nvidia-gpu'] as const,
  tcb: [],
  evaluationNumberMin: 0,
  firmwareMin: {},
  waived: [],
  evidenceAgeMsMax: 60 * minute,
  clockSkewMsMax: 5 * minute,
  verdictAgeMsMax: 60 * minute,
});

export interface PlatformAppraisal {
  /** Empty means accepted. */
  readonly refusals: readonly Finding[];
  /** Epoch ms from which the answer may differ: the earliest end of anything it rests on. */
  readonly expiresAtMs: number;
}

/** Judges the platform of verified evidence. Anything that is not expressly accepted refuses. */
export function appraisePlatform(
  { crypto, findings, claims }: Verification,
  policy: PlatformPolicy,
  nowMs: number,
): PlatformAppraisal {
  const waived = new Set<FindingCode>(policy.waived);
  const refusals = findings.filter(({ code }) => !waived.has(code) || classOf(code) !== 'posture');
  if (claims === undefined) return { refusals, expiresAtMs: nowMs };
  if (!policy.platforms.includes(claims.platform)) {
    refusals.push(finding('platform_not_allowed', claims.platform));
  }
  if (claims.debug && !refusals.some(({ code }) => code === 'debug_enabled')) {
    refusals.push(finding('debug_enabled', ''));
  }
  const tcb = appraiseTcb(claims, policy, nowMs);
  refusals.push(...tcb.refusals, ...firmwareRefusals(claims, policy));
  const age = appraiseAge(claims, policy, nowMs);
  refusals.push(...age.refusals);
  if (crypto !== 'valid' && refusals.length === 0) {
    refusals.push(finding('malformed_evidence', crypto));
  }
  const ends = [claims.window.notAfterMs, tcb.expiresAtMs, age.expiresAtMs];
  const expiresAtMs = Math.min(...ends, nowMs + policy.verdictAgeMsMax);
  return { refusals, expiresAtMs };
}

interface Part {
  readonly refusals: readonly Finding[];
  readonly expiresAtMs: number;
}

const forever = Number.POSITIVE_INFINITY;

function appraiseTcb({ tcb, platform }: Claims, policy: PlatformPolicy, nowMs: number): Part {
  if (tcb === undefined) {
    // Without collateral or a matching level the verification has said so already.
    const isStated = platform === 'sgx' || platform === 'tdx';
    return { refusals: [], expiresAtMs: isStated ? nowMs : forever };
  }
  const refusals: Finding[] = [];
  if (tcb.evaluationNumber < policy.evaluationNumberMin) {
    refusals.push(finding('collateral_too_old', `evaluation number ${tcb.evaluationNumber}`));
  }
  if (tcb.status === 'UpToDate') return { refusals, expiresAtMs: forever };
  if (tcb.status === 'Revoked') {
    return { refusals: [...refusals, finding('tcb_revoked', '')], expiresAtMs: nowMs };
  }
  const allowance = policy.tcb.find(
    ({ status, untilMs }) => status === tcb.status && nowMs < untilMs,
  );
  if (allowance === undefined) {
    const refusal = finding('tcb_status_refused', `${tcb.status} ${tcb.advisories.join(' ')}`);
    return { refusals: [...refusals, refusal], expiresAtMs: nowMs };
  }
  for (const id of tcb.advisories) {
    if (!allowance.advisories.includes(id)) refusals.push(finding('tcb_advisory_refused', id));
  }
  return { refusals, expiresAtMs: allowance.untilMs };
}

function firmwareRefusals({ firmware }: Claims, { firmwareMin }: PlatformPolicy): Finding[] {
  if (firmware === undefined) return [];
  return Object.entries(firmwareMin)
    .filter(([component, least]) => (firmware[component] ?? -1) < least)
    .map(([component]) =>
      finding('tcb_below_minimum', `${component} ${firmware[component] ?? '?'}`),
    );
}

function appraiseAge({ issuedAtMs }: Claims, policy: PlatformPolicy, nowMs: number): Part {
  if (issuedAtMs === undefined) return { refusals: [], expiresAtMs: forever };
  const expiresAtMs = issuedAtMs + policy.evidenceAgeMsMax;
  if (issuedAtMs > nowMs + policy.clockSkewMsMax) {
    return { refusals: [finding('evidence_from_future', '')], expiresAtMs: nowMs };
  }
  const isOld = nowMs > expiresAtMs;
  return { refusals: isOld ? [finding('evidence_too_old', '')] : [], expiresAtMs };
}
