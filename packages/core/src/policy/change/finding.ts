/** What a plan found, each with the sentence that says why. */
import type { RuleRef } from '../reason/index.ts';
import type { AccessChange, Witness } from '../reason/index.ts';
import { formatRuleRef } from '../reason/index.ts';

/** `refuse`: never applied. `hold`: a human other than the author decides. `note`: for the reader. */
export type ChangeSeverity = 'refuse' | 'hold' | 'note';

export type ChangeCode =
  | 'etag'
  | 'invalid'
  | 'fail_open'
  | 'control_path'
  | 'cap_retention'
  | 'ssh_reach'
  | 'self_escalation'
  | 'test_ratchet'
  | 'crown_jewel'
  | 'new_access'
  | 'indirect_widening'
  | 'wide_selector'
  | 'tag_owner'
  | 'auto_approver'
  | 'node_attr'
  | 'relay_map'
  | 'orphan'
  | 'incomplete';

/** A place in one of the two files. */
export interface Place {
  readonly file: 'current' | 'candidate';
  readonly pointer: string;
  readonly line: number;
  readonly column: number;
}

export interface ChangeFinding {
  readonly code: ChangeCode;
  readonly severity: ChangeSeverity;
  /** One sentence for people. */
  readonly message: string;
  readonly at: Place | undefined;
  /** One concrete case, confirmed by the compiled rules. */
  readonly witness: Witness | undefined;
}

export function placeOfRule(file: Place['file'], rule: RuleRef | undefined): Place | undefined {
  if (rule === undefined) return undefined;
  return { file, pointer: rule.id, line: rule.line, column: rule.column };
}

export function placeOf(
  file: Place['file'],
  at: { readonly pointer: string; readonly line: number; readonly column: number },
): Place {
  return { file, pointer: at.pointer, line: at.line, column: at.column };
}

/** `carol-laptop gains tcp:5432 on db by grants[1] (line 12)`. */
export function describeChange({ change, kind, what, witness }: AccessChange): string {
  const verb = change === 'added' ? 'gains' : 'loses';
  const thing = kind === 'ssh' ? `the login "${what}"` : what;
  const rules = witness.rules.map(formatRuleRef).join(', ');
  const by = change === 'added' && rules !== '' ? ` by ${rules}` : '';
  return `${witness.source.label} ${verb} ${thing} on ${witness.target.label}${by}`;
}
