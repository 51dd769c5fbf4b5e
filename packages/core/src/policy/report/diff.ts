/** What a change of the file changes for whom. */
import type { Inventory } from '../compile/inventory.ts';
import { parsePolicyText } from '../file/text.ts';
import { textDiff } from '../change/text-diff.ts';
import { type AccessChange, comparePolicies, formatRuleRef } from '../reason/index.ts';
import { describeChange } from '../change/finding.ts';
import { type FindingView, viewOf } from './check.ts';
import { standInInventory } from './stand-in.ts';

export interface ChangeView {
  readonly change: 'added' | 'removed';
  readonly kind: string;
  readonly sources: readonly string[];
  readonly targets: readonly string[];
  /** Ports, a capability with its value, or a login. */
  readonly what: string;
  /** Rules that give it, in the file that does. */
  readonly rules: readonly string[];
  /** One concrete case in a sentence. */
  readonly witness: string;
}

export interface DiffReport {
  /** Both files allow the same, whatever they look like. */
  readonly equivalent: boolean;
  /** False where the files are too large to compare one by one: changes may be missing. */
  readonly complete: boolean;
  readonly changes: readonly ChangeView[];
  readonly text_diff: string;
  /** Why a file cannot be read; then there are no changes. */
  readonly errors: readonly (FindingView & { readonly file: 'before' | 'after' })[];
}

export function diffReport(before: string, after: string, inventory: Inventory): DiffReport {
  const [one, two] = [parsePolicyText(before), parsePolicyText(after)];
  const errors = [
    ...one.findings.map((finding) => ({ file: 'before' as const, ...viewOf(finding) })),
    ...two.findings.map((finding) => ({ file: 'after' as const, ...viewOf(finding) })),
  ].filter(({ severity }) => severity === 'error');
  const text_diff = textDiff(before, after);
  if (errors.length > 0) {
    return { equivalent: false, complete: false, changes: [], text_diff, errors };
  }
  const people = standInInventory(inventory, [one.file, two.file]);
  const comparison = comparePolicies(one.file, two.file, people);
  return {
    equivalent: comparison.isEquivalent,
    complete: comparison.world.isComplete,
    changes: comparison.changes.map(changeView),
    text_diff,
    errors,
  };
}

export function changeView(change: AccessChange): ChangeView {
  return {
    change: change.change,
    kind: change.kind,
    sources: [...change.sources],
    targets: [...change.targets],
    what: change.what,
    rules: change.witness.rules.map(formatRuleRef),
    witness: describeChange(change),
  };
}
