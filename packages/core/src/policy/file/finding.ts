/** What is wrong, or worth knowing, at one place of a policy file. */
import type { Position } from './source.ts';

/** `error`: the file is refused. `warning`: it is accepted and probably not meant. `note`: for people. */
export type Severity = 'error' | 'warning' | 'note';

/** The closed list of kinds, which programs may compare with. */
export type FindingCode =
  | 'syntax'
  | 'limit'
  | 'wrong_type'
  | 'unknown_field'
  | 'duplicate_field'
  | 'bad_action'
  | 'bad_selector'
  | 'selector_not_allowed'
  | 'bad_port'
  | 'bad_protocol'
  | 'undefined_name'
  | 'unknown_user'
  | 'bad_name'
  | 'nested_group'
  | 'bad_address'
  | 'bad_ipset'
  | 'bad_posture'
  | 'empty_grant'
  | 'bad_capability'
  | 'bad_via'
  | 'bad_ssh_rule'
  | 'bad_ip_pool'
  | 'bad_test'
  | 'test_failed'
  | 'fail_open'
  | 'dead_rule'
  | 'redundant_rule'
  | 'capability_without_network'
  | 'grant_without_destination'
  | 'engine_difference';

export interface Finding extends Position {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** The text of the hosted service where that is known; else ours. */
  readonly message: string;
}

/** Collects findings in the order in which they are found. The first error is kept however many others there are. */
export class Findings {
  readonly #list: Finding[] = [];
  readonly #max: number;
  #hasError = false;

  constructor(max: number) {
    this.#max = max;
  }

  error(code: FindingCode, at: Position, message: string): void {
    this.add('error', code, at, message);
  }

  warning(code: FindingCode, at: Position, message: string): void {
    this.add('warning', code, at, message);
  }

  note(code: FindingCode, at: Position, message: string): void {
    this.add('note', code, at, message);
  }

  add(severity: Severity, code: FindingCode, at: Position, message: string): void {
    const { pointer, line, column } = at;
    const isFirstError = severity === 'error' && !this.#hasError;
    if (this.#list.length < this.#max || isFirstError) {
      this.#list.push({ code, severity, message, pointer, line, column });
    }
    if (isFirstError) this.#hasError = true;
  }

  get list(): readonly Finding[] {
    return this.#list;
  }
}

export function isError(finding: Finding): boolean {
  return finding.severity === 'error';
}

/** The one sentence with which the hosted service would refuse: the first error, or undefined. */
export function refusalOf(findings: readonly Finding[]): string | undefined {
  return findings.find((finding) => isError(finding))?.message;
}
