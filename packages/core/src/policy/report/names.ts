/** Limits and budgets that grants name: whether the configuration has them. */
import { entriesOfFile } from '../access/entry.ts';
import type { PolicyFile } from '../file/model.ts';
import type { Position } from '../file/source.ts';

/** What the configuration defines. */
export interface KnownNames {
  readonly limits: ReadonlySet<string>;
  readonly budgets: ReadonlySet<string>;
}

export interface NamedInRule {
  readonly kind: 'limit' | 'budget';
  readonly name: string;
  readonly at: Position;
}

export function namedInRules(file: PolicyFile): readonly NamedInRule[] {
  return entriesOfFile(file).entries.flatMap((entry): readonly NamedInRule[] => {
    if (entry.kind !== 'ai') return [];
    const { at, object } = entry;
    return [
      ...object.limits.map((name) => ({ kind: 'limit' as const, name, at })),
      ...object.budgets.map((name) => ({ kind: 'budget' as const, name, at })),
    ];
  });
}

/** What is wrong with a name that nothing defines, as a sentence. */
export function undefinedNameText({ kind, name }: NamedInRule): string {
  return `the configuration defines no ${kind} "${name}", so nothing would bound what the grant allows`;
}

/** Names that nothing defines: what they should bound would not be bounded. */
export function undefinedNames(file: PolicyFile, known: KnownNames): readonly NamedInRule[] {
  return namedInRules(file).filter(({ kind, name }) =>
    kind === 'limit' ? !known.limits.has(name) : !known.budgets.has(name),
  );
}
