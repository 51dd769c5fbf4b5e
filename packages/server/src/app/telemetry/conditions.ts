import type { AlertsConfig } from '@postern/core/contract';
import type { LogHealth } from '../../observe/audit/index.ts';
import type { Vitals } from './vitals.ts';

export const conditionNames = [
  'audit',
  'backup',
  'budget',
  'certificate',
  'collateral',
  'node-key',
] as const;

export type ConditionName = (typeof conditionNames)[number];

/** Something that somebody has to look at, as it is now. */
export interface Condition {
  readonly name: ConditionName;
  /** Which budget account, listener, machine or vendor; empty where there is one only. */
  readonly subject: string;
  /** One sentence. */
  readonly summary: string;
}

export interface Observed {
  readonly nowMs: number;
  readonly startedAtMs: number;
  readonly audit: LogHealth;
  readonly accounts: readonly { readonly account: string; readonly usedRatio: number }[];
  readonly vitals: Vitals;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** A budget that refills while it is spent would come and go at its edge: it is over only this far below. */
const budgetSlackRatio = 0.05;

/** Every condition that holds. `isFiring` says what was told before, for those that end later than they begin. */
export function conditionsOf(
  config: AlertsConfig,
  observed: Observed,
  isFiring: (name: ConditionName, subject: string) => boolean,
): readonly Condition[] {
  const { nowMs, startedAtMs, audit, accounts, vitals } = observed;
  const found: Condition[] = [];
  const add = (name: ConditionName, subject: string, summary: string): void => {
    found.push({ name, subject, summary });
  };
  if (audit.kind !== 'good') {
    const what = audit.kind === 'slow' ? 'is behind' : 'takes no records';
    add('audit', '', `The audit log ${what}: ${audit.why}.`);
  }
  const backupMs = nowMs - (vitals.backupAtMs ?? startedAtMs);
  if (backupMs > config.backupHours * hourMs) {
    const since = Math.floor(backupMs / hourMs);
    add('backup', '', `There was no backup for ${since} hours; make one with \`postern backup\`.`);
  }
  for (const { account, usedRatio } of accounts) {
    const limit = config.budgetPercent / 100;
    const edge = isFiring('budget', account) ? limit - budgetSlackRatio : limit;
    if (usedRatio >= edge) {
      const used = Math.floor(usedRatio * 100);
      add('budget', account, `The budget account ${account} has used ${used} %.`);
    }
  }
  for (const { listener, expiresAtMs } of vitals.certificates) {
    if (expiresAtMs - nowMs < config.certificateDays * dayMs)
      add('certificate', listener, `The certificate of ${listener} ends ${when(expiresAtMs)}.`);
  }
  for (const listener of vitals.unreadable) {
    // Before the first one is there, that is no news; afterwards nobody knows that it is good again.
    if (isFiring('certificate', listener))
      add('certificate', listener, `The certificate of ${listener} cannot be read.`);
  }
  for (const { vendor, atMs } of vitals.collateral) {
    if (nowMs - atMs > config.collateralDays * dayMs)
      add('collateral', vendor, `Collateral of ${vendor} was not renewed since ${when(atMs)}.`);
  }
  for (const { name, expiresAtMs } of vitals.nodeKeys) {
    if (expiresAtMs - nowMs < config.nodeKeyDays * dayMs)
      add('node-key', name, `The key of the machine ${name} ends ${when(expiresAtMs)}.`);
  }
  return found;
}

function when(ms: number): string {
  return new Date(ms).toISOString();
}
