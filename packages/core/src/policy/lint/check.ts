/** All that `postern policy check` says about a file. */
import { capabilityFindings } from '../access/check.ts';
import type { Inventory } from '../compile/inventory.ts';
import { type ValidatedPolicy, validatePolicy } from '../compile/validate.ts';
import { type Finding, isError } from '../file/finding.ts';
import type { ParsedPolicy } from '../file/parse.ts';
import { type EngineName, engineFindings } from './engine.ts';
import { fileTraps, tailnetTraps } from './trap.ts';

export interface CheckOptions {
  /** Without people and machines, tests are not run and unknown users not looked for. */
  readonly inventory?: Inventory;
  /** Also lists what this engine would refuse. */
  readonly engine?: EngineName;
}

export interface CheckedPolicy {
  readonly findings: readonly Finding[];
  /** No finding is an error. */
  readonly passed: boolean;
  readonly validated: ValidatedPolicy | undefined;
}

/** Findings of the file first, then of capabilities, of the engine, of traps. */
export function checkPolicy(parsed: ParsedPolicy, options: CheckOptions = {}): CheckedPolicy {
  const { inventory, engine } = options;
  const validated = inventory === undefined ? undefined : validatePolicy(parsed, inventory);
  const findings = [
    ...(validated?.findings ?? parsed.findings),
    ...capabilityFindings(parsed.file),
    ...(engine === undefined ? [] : engineFindings(parsed.file, engine)),
    ...(parsed.accepted ? fileTraps(parsed.file) : []),
    ...(validated === undefined || inventory === undefined
      ? []
      : tailnetTraps(validated.tailnet, inventory)),
  ];
  return { findings, passed: !findings.some((finding) => isError(finding)), validated };
}
