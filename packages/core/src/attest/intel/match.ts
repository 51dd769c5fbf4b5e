import { equalBytes } from '../../base/bytes.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type { TcbClaim, TcbStatus } from '../claims.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { PckExtension } from './pck.ts';
import type { SgxBody, TdBody } from './quote.ts';
import type { IsvLevel, Level, ModuleIdentity, PlatformLevel, QeIdentity, TcbInfo } from './tcb.ts';

export interface Appraised {
  readonly pck: PckExtension;
  readonly body: SgxBody | TdBody;
  readonly qeReport: SgxBody;
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
}

/**
 * The patch level of platform, TDX module and quoting enclave together, by Intel's published algorithm:
 * the first listed level that is at or below the platform in every component. One part without a level
 * refuses the whole.
 */
export function matchTcb(input: Appraised): Result<TcbClaim, readonly Finding[]> {
  const { tcbInfo, qeIdentity, body, qeReport } = input;
  const problems: Finding[] = [];
  const platform = tcbInfo.levels.find((level) => reachesLevel(input, level));
  if (platform === undefined) problems.push(finding('tcb_no_matching_level', 'platform'));
  const module = body.kind === 'tdx' ? matchModule(body, tcbInfo) : ok(undefined);
  if (!module.ok) problems.push(module.error);
  const qe = matchQe(qeReport, qeIdentity);
  if (!qe.ok) problems.push(qe.error);
  if (platform === undefined || !module.ok || !qe.ok) return err(problems);
  const parts: Level[] = [platform, qe.value];
  if (module.value !== undefined) parts.push(module.value);
  const status = merge(platform.status, [qe.value.status, module.value?.status]);
  return ok({
    status,
    advisories: [...new Set(parts.flatMap((part) => part.advisories))].sort(),
    dateMs: Math.min(...parts.map((part) => part.dateMs)),
    evaluationNumber: Math.min(tcbInfo.evaluationNumber, qeIdentity.evaluationNumber),
  });
}

function reachesLevel({ pck, body }: Appraised, level: PlatformLevel): boolean {
  if (pck.pceSvn < level.pceSvn || !allReach(pck.componentSvns, level.sgxSvns, 0)) return false;
  if (body.kind === 'sgx') return true;
  // With a versioned module, components 0 and 1 describe the module and are matched by its identity.
  const from = (body.teeTcbSvn[1] ?? 0) > 0 ? 2 : 0;
  return allReach([...body.teeTcbSvn], level.tdxSvns, from);
}

function allReach(have: readonly number[], want: readonly number[], from: number): boolean {
  return want.every((svn, index) => index < from || (have[index] ?? -1) >= svn);
}

function matchModule(body: TdBody, tcbInfo: TcbInfo): Result<IsvLevel | undefined, Finding> {
  const [svn = 0, version = 0] = body.teeTcbSvn;
  if (version === 0) {
    const { module } = tcbInfo;
    if (module === undefined) return err(finding('tdx_module_mismatch', 'no module described'));
    return isModule(body, module)
      ? ok(undefined)
      : err(finding('tdx_module_mismatch', 'version 0'));
  }
  const id = `TDX_${version.toString(16).padStart(2, '0').toUpperCase()}`;
  const identity = tcbInfo.modules.find((module) => module.id.toUpperCase() === id);
  if (identity === undefined) return err(finding('tdx_module_mismatch', `${id} is not described`));
  if (!isModule(body, identity)) return err(finding('tdx_module_mismatch', id));
  const level = identity.levels.find((candidate) => candidate.isvSvn <= svn);
  return level === undefined ? err(finding('tcb_no_matching_level', `module ${id}`)) : ok(level);
}

function isModule(body: TdBody, module: Omit<ModuleIdentity, 'id' | 'levels'>): boolean {
  return (
    equalBytes(body.mrSignerSeam, module.mrSigner) &&
    equalMasked(body.seamAttributes, module.attributes, module.attributesMask)
  );
}

function matchQe(report: SgxBody, identity: QeIdentity): Result<IsvLevel, Finding> {
  const isQe =
    equalBytes(report.mrSigner, identity.mrSigner) &&
    report.isvProdId === identity.isvProdId &&
    equalMasked(
      report.miscSelect,
      reversed(identity.miscSelect),
      reversed(identity.miscSelectMask),
    ) &&
    equalMasked(report.attributes, identity.attributes, identity.attributesMask);
  if (!isQe) return err(finding('qe_identity_mismatch', ''));
  const level = identity.levels.find((candidate) => candidate.isvSvn <= report.isvSvn);
  return level === undefined ? err(finding('tcb_no_matching_level', 'quoting enclave')) : ok(level);
}

/** MISCSELECT is a number: little-endian in the report, written most significant first in the statement. */
function reversed(bytes: Uint8Array): Uint8Array {
  return bytes.toReversed();
}

function equalMasked(value: Uint8Array, want: Uint8Array, mask: Uint8Array): boolean {
  return (
    value.length === mask.length &&
    want.length === mask.length &&
    mask.every((bits, index) => ((value[index] ?? 0) & bits) === ((want[index] ?? 0) & bits))
  );
}

/** A part that is behind makes the whole out of date; a revoked part revokes it. */
function merge(platform: TcbStatus, parts: readonly (TcbStatus | undefined)[]): TcbStatus {
  if (platform === 'Revoked' || parts.includes('Revoked')) return 'Revoked';
  const isBehind = parts.some((status) => status !== undefined && status !== 'UpToDate');
  if (!isBehind) return platform;
  if (platform === 'ConfigurationNeeded' || platform === 'ConfigurationAndSWHardeningNeeded') {
    return 'OutOfDateConfigurationNeeded';
  }
  return platform === 'OutOfDateConfigurationNeeded' ? platform : 'OutOfDate';
}
