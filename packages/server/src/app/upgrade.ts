import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat, statfs } from 'node:fs/promises';
import process from 'node:process';
import { messageOf, ok } from '@postern/core/base';
import { checkReport } from '@postern/core/policy/report';
import { inspectBackup, inspectSchema, schemaKnown } from '../adapters/store-sqlite/index.ts';
import type { FindingReport, UpgradeFacts } from '../ops/index.ts';
import { upgradeReport, wayBack } from '../ops/index.ts';
import { describeProblem, loadConfigFile } from './config-file.ts';
import { namesOf } from './policy-names.ts';
import type { Settings } from './settings.ts';
import { policyFileOf } from './settings.ts';
import { backupStamp } from './telemetry/vitals.ts';

/** What only a running Postern knows, asked by whoever calls. */
export interface UpgradeQuestion {
  readonly settings: Settings;
  readonly version: string;
  readonly running: Omit<NonNullable<UpgradeFacts['running']>, 'drainMs'> | undefined;
  readonly nowMs: number;
  /** A backup that was made just now; it also says which schema the state has. */
  readonly backupFile?: string;
}

/** Whether this release may take over, and how to go back if it did. Nothing is changed. */
export async function lookBeforeUpgrade(
  question: UpgradeQuestion,
): Promise<{ readonly report: FindingReport; readonly back: string }> {
  const facts = await upgradeFacts(question);
  return { report: upgradeReport(facts), back: wayBack(facts) };
}

/** The state folder, the configuration and the policy with the eyes of this release. */
async function upgradeFacts(question: UpgradeQuestion): Promise<UpgradeFacts> {
  const { settings, version, running, nowMs } = question;
  const config = await configFacts(settings);
  const schema = await schemaFacts(question);
  const backupAtMs = await modifiedAt(backupStamp(settings.stateDir));
  const freeBytes = await freeIn(settings.stateDir);
  return {
    version,
    node: process.versions.node,
    ...(running === undefined ? {} : { running: { ...running, drainMs: config.drainMs } }),
    ...(schema.ok ? {} : { schemaProblem: schema.error }),
    ...(schema.ok && schema.value !== undefined ? { schema: schema.value } : {}),
    usesPostgres: config.usesPostgres,
    ...(config.problems === undefined ? {} : { configProblems: config.problems }),
    ...(await policyFacts(settings, config.names)),
    ...(backupAtMs === undefined
      ? {}
      : {
          backup: {
            ageMs: Math.max(0, nowMs - backupAtMs),
            ...(question.backupFile === undefined ? {} : { file: question.backupFile }),
          },
        }),
    stateBytes: schema.ok ? (schema.value?.bytes ?? 0) : 0,
    ...(freeBytes === undefined ? {} : { freeBytes }),
  };
}

async function schemaFacts({
  settings,
  backupFile,
}: UpgradeQuestion): Promise<ReturnType<typeof inspectSchema>> {
  const seen = inspectSchema(settings.stateDir);
  const inspected = backupFile === undefined ? undefined : await inspectBackup(backupFile);
  if (inspected?.ok !== true) return seen;
  const { schema, bytes } = inspected.value.manifest;
  return ok({ found: schema, known: schemaKnown, bytes });
}

interface ConfigFacts {
  readonly problems: readonly string[] | undefined;
  readonly names: ReturnType<typeof namesOf> | undefined;
  readonly usesPostgres: boolean;
  readonly drainMs: number;
}

/** The default of `limits.drainMs`. */
const drainMsDefault = 300_000;

async function configFacts({ configFile }: Settings): Promise<ConfigFacts> {
  const nothing = { names: undefined, usesPostgres: false, drainMs: drainMsDefault };
  if (configFile === undefined) return { ...nothing, problems: undefined };
  const loaded = await loadConfigFile(configFile);
  if (!loaded.ok) return { ...nothing, problems: loaded.error.map(describeProblem) };
  const { config } = loaded.value;
  return {
    problems: [],
    names: namesOf(config),
    usesPostgres: config.store?.postgres !== undefined,
    drainMs: config.limits.drainMs,
  };
}

async function policyFacts(
  settings: Settings,
  names: ConfigFacts['names'],
): Promise<Pick<UpgradeFacts, 'policyProblems'>> {
  const file = policyFileOf(settings);
  if (!existsSync(file)) return {};
  try {
    const { valid, findings } = checkReport({
      text: await readFile(file, 'utf8'),
      inventory: { users: [], nodes: [] },
      engine: undefined,
      names,
      sha256Hex: (text) => createHash('sha256').update(text).digest('hex'),
    });
    if (valid) return { policyProblems: [] };
    const errors = findings.filter(({ severity }) => severity === 'error');
    return { policyProblems: errors.map(({ message }) => `${file}: ${message}`) };
  } catch (cause) {
    return {
      policyProblems: [`${file}: ${messageOf(cause)}`],
    };
  }
}

async function modifiedAt(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mtimeMs;
  } catch {
    // No backup was made through this state folder.
    return undefined;
  }
}

async function freeIn(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    // The folder is not there yet, or may not be looked at.
    return undefined;
  }
}
