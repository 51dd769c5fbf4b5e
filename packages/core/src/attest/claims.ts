import { classOf } from './finding.ts';
import type { Finding } from './finding.ts';
import type { Window } from './vendor/index.ts';

export type Platform = 'sgx' | 'tdx' | 'sev-snp' | 'nitro' | 'azure' | 'nvidia-gpu';

/** Intel's words for the patch level of a platform, as the TCB info writes them. */
export const tcbStatuses = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const;
export type TcbStatus = (typeof tcbStatuses)[number];

export interface TcbClaim {
  readonly status: TcbStatus;
  /** Intel advisory ids that apply, sorted, without repetition. */
  readonly advisories: readonly string[];
  /** The oldest of the dates of the matched levels, epoch ms: when this patch level was current. */
  readonly dateMs: number;
  /** The lower of the evaluation data numbers of TCB info and QE identity. */
  readonly evaluationNumber: number;
}

/** What the measured boot says about the workload, read only from events that the hardware signed. */
export interface WorkloadClaims {
  readonly appId: string | undefined;
  readonly composeHash: string | undefined;
  readonly instanceId: string | undefined;
  readonly keyProvider: KeyProviderClaim | undefined;
  /** SHA-256 of the GPU evidence that the measured boot accepted. */
  readonly gpuEvidenceHash: string | undefined;
}

export interface KeyProviderClaim {
  readonly name: string;
  /** For `kms`: the DER SubjectPublicKeyInfo of the root that may sign this app's certificates, hex. */
  readonly id: string;
}

/** Facts of evidence. They are proven only where the verification's `crypto` is `valid`. */
export interface Claims {
  readonly platform: Platform;
  /** The bytes that the workload chose: 64, except in Nitro documents and tokens. */
  readonly reportData: Uint8Array;
  readonly debug: boolean;
  /** Register names of the platform → lower-case hex. */
  readonly measurements: Readonly<Record<string, string>>;
  readonly tcb: TcbClaim | undefined;
  /** Firmware versions by component, where the platform states versions and not a status (AMD). */
  readonly firmware: Readonly<Record<string, number>> | undefined;
  /** Identifies the machine: SHA-256 of the PPID, the chip id or the EC2 instance id, hex. */
  readonly deviceId: string | undefined;
  readonly workload: WorkloadClaims | undefined;
  /** When the evidence was made, where it says so. */
  readonly issuedAtMs: number | undefined;
  /** The time in which every certificate, list and statement behind these claims holds. */
  readonly window: Window;
}

/** What became of evidence before any policy. Findings are all that speak against it, worst first. */
export interface Verification {
  /** `valid`: signatures, inner bindings and the chain to the pinned root hold. Time is not part of it. */
  readonly crypto: 'valid' | 'invalid' | 'unsigned';
  readonly findings: readonly Finding[];
  /** Absent where the bytes could not be read. */
  readonly claims: Claims | undefined;
}

/** The verification of bytes that could not be read. */
export function unreadable(finding: Finding): Verification {
  return { crypto: 'invalid', findings: [finding], claims: undefined };
}

/** A verification whose `crypto` follows from its findings. */
export function verification(findings: readonly Finding[], claims: Claims): Verification {
  const classes = new Set(findings.map(({ code }) => classOf(code)));
  const crypto =
    classes.has('crypto') || classes.has('form')
      ? 'invalid'
      : classes.has('unsigned')
        ? 'unsigned'
        : 'valid';
  return { crypto, findings, claims };
}
