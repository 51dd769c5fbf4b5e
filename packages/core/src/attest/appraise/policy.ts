import { equalBytes } from '../../base/bytes.ts';
import type { Claims, Platform, Verification } from '../claims.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { appraisePlatform } from './platform-policy.ts';
import type { PlatformPolicy } from './platform-policy.ts';

/** Boot measurements that are approved together. A pin that leaves out a register matches nothing. */
export interface ImagePin {
  readonly name: string;
  readonly platform: Platform;
  /** Register → lower-case hex. More registers than the platform's own may be listed. */
  readonly measurements: Readonly<Record<string, string>>;
  /** For images that hold the whole app (Nitro, SGX): the app that this image is. */
  readonly appId?: string;
}

/** Which versions and instances of an app are approved. */
export interface AppRule {
  readonly appId: string;
  /** Approved compose hashes. Empty approves none; an app that is its image needs none. */
  readonly composeHashes: readonly string[];
  /** Approved instances; undefined for any. */
  readonly instanceIds?: readonly string[];
}

/** What may be talked to. Whatever is not listed is refused. */
export interface AppraisalPolicy {
  /** Grows with every change; verdicts of an older generation are void. */
  readonly generation: number;
  readonly platform: PlatformPolicy;
  readonly images: readonly ImagePin[];
  readonly apps: readonly AppRule[];
  /** Approved machines (`deviceId`), or `any` as a decision that somebody wrote down. */
  readonly devices: readonly string[] | 'any';
  /** Approved key provider ids (for a KMS the SPKI of its root, hex), or `any`. */
  readonly keyProviders: readonly string[] | 'any';
}

/** Registers that make an image, by platform. A platform without an entry cannot be pinned. */
export const imageRegisters: Readonly<Partial<Record<Platform, readonly string[]>>> = {
  tdx: ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2'],
  'sev-snp': ['measurement'],
  nitro: ['pcr0', 'pcr1', 'pcr2'],
  sgx: ['mrenclave'],
};

/** The answer about one piece of evidence: small enough to keep one for every peer. */
export interface Verdict {
  readonly accepted: boolean;
  /** Empty exactly when accepted. */
  readonly refusals: readonly Finding[];
  readonly platform: Platform | undefined;
  readonly image: string | undefined;
  readonly appId: string | undefined;
  readonly composeHash: string | undefined;
  readonly instanceId: string | undefined;
  readonly deviceId: string | undefined;
  /** For an app under a KMS: the SPKI of the root that may sign its certificates, hex. */
  readonly keyProviderId: string | undefined;
  readonly tcbStatus: string | undefined;
  readonly policyGeneration: number;
  /** Epoch ms from which evidence has to be appraised again. */
  readonly expiresAtMs: number;
}

/** What a challenge asked for, where evidence answers one instead of binding a TLS key. */
export interface Challenge {
  readonly reportData: Uint8Array;
}

/** Judges verified evidence: the platform, then what runs on it, then where. All refusals are given. */
export function appraise(
  verification: Verification,
  policy: AppraisalPolicy,
  nowMs: number,
  challenge?: Challenge,
): Verdict {
  const platform = appraisePlatform(verification, policy.platform, nowMs);
  const refusals = [...platform.refusals];
  const { claims } = verification;
  const image = claims === undefined ? undefined : matchImage(claims, policy.images);
  const appId = claims?.workload?.appId ?? image?.appId;
  if (claims !== undefined) {
    if (image === undefined) refusals.push(finding('image_not_allowed', describe(claims)));
    refusals.push(...appRefusals(claims, image, policy));
    refusals.push(...placeRefusals(claims, policy));
    if (challenge !== undefined && !equalBytes(claims.reportData, challenge.reportData)) {
      refusals.push(finding('report_data_unexpected', ''));
    }
  } else if (refusals.length === 0) {
    refusals.push(finding('malformed_evidence', ''));
  }
  return {
    accepted: refusals.length === 0,
    refusals,
    platform: claims?.platform,
    image: image?.name,
    appId,
    composeHash: claims?.workload?.composeHash,
    instanceId: claims?.workload?.instanceId,
    deviceId: claims?.deviceId,
    keyProviderId: claims?.workload?.keyProvider?.id,
    tcbStatus: claims?.tcb?.status,
    policyGeneration: policy.generation,
    expiresAtMs: platform.expiresAtMs,
  };
}

function matchImage(claims: Claims, images: readonly ImagePin[]): ImagePin | undefined {
  const registers = imageRegisters[claims.platform];
  if (registers === undefined) return undefined;
  return images.find(
    ({ platform, measurements }) =>
      platform === claims.platform &&
      registers.every((register) => Object.hasOwn(measurements, register)) &&
      Object.entries(measurements).every(
        ([register, value]) => claims.measurements[register] === value.toLowerCase(),
      ),
  );
}

function describe({ platform, measurements }: Claims): string {
  const registers = imageRegisters[platform] ?? [];
  return registers.map((register) => `${register} ${measurements[register] ?? '?'}`).join(', ');
}

function appRefusals(
  { workload }: Claims,
  image: ImagePin | undefined,
  { apps }: AppraisalPolicy,
): Finding[] {
  const appId = workload?.appId ?? image?.appId;
  if (appId === undefined) return [finding('app_unknown', '')];
  // One app may have several rules; each is a complete alternative.
  const rules = apps.filter((rule) => rule.appId.toLowerCase() === appId.toLowerCase());
  if (rules.length === 0) return [finding('app_not_allowed', appId)];
  const isWholeImage = workload?.appId === undefined;
  const versions = rules.filter(
    ({ composeHashes }) => isWholeImage || includesText(composeHashes, workload.composeHash),
  );
  if (versions.length === 0) {
    return [finding('compose_not_allowed', workload?.composeHash ?? 'none stated')];
  }
  const isInstance = versions.some(
    ({ instanceIds }) =>
      instanceIds === undefined || includesText(instanceIds, workload?.instanceId),
  );
  return isInstance ? [] : [finding('instance_not_allowed', workload?.instanceId ?? 'none stated')];
}

function placeRefusals(
  { deviceId, workload }: Claims,
  { devices, keyProviders }: AppraisalPolicy,
): Finding[] {
  const refusals: Finding[] = [];
  if (devices !== 'any' && !includesText(devices, deviceId)) {
    refusals.push(finding('device_not_allowed', deviceId ?? 'none stated'));
  }
  // Only a dstack workload has a key provider; an image that is the app holds its own keys.
  const isDstack = workload !== undefined;
  if (isDstack && keyProviders !== 'any' && !includesText(keyProviders, workload.keyProvider?.id)) {
    refusals.push(finding('key_provider_not_allowed', workload.keyProvider?.name ?? 'none stated'));
  }
  return refusals;
}

function includesText(list: readonly string[], value: string | undefined): boolean {
  return value !== undefined && list.some((item) => item.toLowerCase() === value.toLowerCase());
}

/** Whom a connection is for. Ids are hex without prefix, any case. */
export interface Target {
  readonly appId?: string;
  readonly instanceId?: string;
}

/**
 * What speaks against an accepted peer as *this* connection's target. Apart from the verdict, so that one
 * verdict serves connections with different targets.
 */
export function targetRefusals(verdict: Verdict, target: Target): Finding[] {
  const refusals: Finding[] = [];
  const { appId, instanceId } = target;
  if (appId !== undefined && !isSameId(appId, verdict.appId)) {
    refusals.push(finding('target_app_mismatch', `${verdict.appId ?? 'none'}, asked ${appId}`));
  }
  if (instanceId !== undefined && !isSameId(instanceId, verdict.instanceId)) {
    const is = verdict.instanceId ?? 'none';
    refusals.push(finding('target_instance_mismatch', `${is}, asked ${instanceId}`));
  }
  return refusals;
}

function isSameId(asked: string, is: string | undefined): boolean {
  return is !== undefined && asked.toLowerCase() === is.toLowerCase();
}
