/** What `policy check` and `policy test` say about one file. */
import type { Inventory } from '../compile/inventory.ts';
import type { TestOutcome } from '../compile/test-run.ts';
import type { Finding } from '../file/finding.ts';
import type { PolicyFile } from '../file/model.ts';
import { parsePolicyText } from '../file/text.ts';
import { policyHash } from '../change/plan.ts';
import { checkPolicy, type EngineName } from '../lint/index.ts';
import { type KnownNames, undefinedNames, undefinedNameText } from './names.ts';
import { standInInventory } from './stand-in.ts';

/** One thing to know, where it stands. */
export interface FindingView {
  readonly severity: Finding['severity'];
  readonly code: string;
  readonly message: string;
  /** JSON pointer; empty for the file as a whole. */
  readonly pointer: string;
  readonly line: number;
  readonly column: number;
}

export interface TestView {
  readonly kind: 'network' | 'ssh';
  readonly src: string;
  readonly passed: boolean;
  readonly errors: readonly string[];
  readonly line: number;
  readonly column: number;
}

export interface CheckReport {
  /** No error but failed tests. */
  readonly valid: boolean;
  /** Every test holds. */
  readonly tests_passed: boolean;
  /** `policyHash`: what `If-Match` compares. */
  readonly digest: string;
  readonly findings: readonly FindingView[];
  readonly tests: readonly TestView[];
}

export interface CheckRequest {
  readonly text: string;
  readonly inventory: Inventory;
  readonly engine?: EngineName | undefined;
  /** Limits and budgets of the configuration; undefined where none is at hand, and then names are not looked up. */
  readonly names?: KnownNames | undefined;
  readonly sha256Hex: (bytes: Uint8Array) => string;
}

export function checkReport({
  text,
  inventory,
  engine,
  names,
  sha256Hex,
}: CheckRequest): CheckReport {
  const parsed = parsePolicyText(text);
  const { findings: found, validated } = checkPolicy(parsed, {
    inventory: standInInventory(inventory, [parsed.file]),
    ...(engine === undefined ? {} : { engine }),
  });
  const findings = [...found, ...nameFindings(parsed.file, names)];
  const hasNetwork = inventory.nodes.length > 0;
  const errors = findings.filter(({ severity }) => severity === 'error');
  const tests = testViews([...(validated?.tests ?? []), ...(validated?.sshTests ?? [])]);
  return {
    valid: errors.every(({ code }) => code === 'test_failed'),
    tests_passed: tests.every(({ passed }) => passed),
    digest: policyHash(text, { sha256Hex }),
    findings: findings.filter((finding) => hasNetwork || !isAboutMachines(finding)).map(viewOf),
    tests,
  };
}

function nameFindings(file: PolicyFile, names: KnownNames | undefined): readonly Finding[] {
  if (names === undefined) return [];
  return undefinedNames(file, names).map((named) => ({
    ...named.at,
    severity: 'error',
    code: 'undefined_name',
    message: undefinedNameText(named),
  }));
}

/** Says something only about machines that exist. */
function isAboutMachines({ code, severity }: Finding): boolean {
  return severity !== 'error' && (code === 'dead_rule' || code === 'capability_without_network');
}

export function viewOf(finding: Finding): FindingView {
  const { severity, code, message, pointer, line, column } = finding;
  return { severity, code, message, pointer, line, column };
}

export function testViews(outcomes: readonly TestOutcome[]): readonly TestView[] {
  return outcomes.map(({ src, passed, errors, at }) => ({
    kind: at.pointer.startsWith('/sshTests') ? 'ssh' : 'network',
    src,
    passed,
    errors: [...errors],
    line: at.line,
    column: at.column,
  }));
}
