/** Rules of a file by their ids, with their places in the text. */
import type { PolicyFile } from '../file/model.ts';
import { openRuleId } from './rule-tokens.ts';

/** Where a rule stands: what an answer shows. */
export interface RuleRef {
  /** `/grants/3`. */
  readonly id: string;
  /** 0 where the text is not known. */
  readonly line: number;
  readonly column: number;
}

export function ruleRefs(file: PolicyFile, ids: readonly string[]): readonly RuleRef[] {
  const rules = [...(file.grants ?? []), ...(file.acls ?? []), ...file.ssh];
  const places = new Map(rules.map(({ id, at }) => [id, at]));
  return ids.map((id) => {
    const at = places.get(id);
    return { id, line: at?.line ?? 0, column: at?.column ?? 0 };
  });
}

/** `grants[3] (line 12)`, or the sentence for a file without rules. */
export function formatRuleRef({ id, line }: RuleRef): string {
  if (id === openRuleId) return 'no acls and no grants: everything is allowed';
  const [, section = '', index = ''] = id.split('/');
  return line === 0 ? `${section}[${index}]` : `${section}[${index}] (line ${line})`;
}
