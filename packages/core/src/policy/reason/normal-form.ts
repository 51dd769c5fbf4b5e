/** One text for everything that a policy allows in a world: equal texts, equal policies. */
import type { SourceAtom, TargetAtom } from './atoms.ts';
import { openingKey } from './opening.ts';
import type { Access, AtomClass, Relation } from './relation.ts';
import { formatLogins } from './ssh-logins.ts';

/** Equal accesses have equal keys. */
export function accessKey({ opening, capabilities, ssh }: Access): string {
  return JSON.stringify([openingKey(opening), capabilities, formatLogins(ssh)]);
}

/**
 * The relation with every set of atoms as large as it can be, in the order of the atoms. Two policies have equal
 * texts over the same atoms exactly when no packet, capability or login tells them apart. Hash it to compare
 * from afar.
 */
export function normalForm(relation: Relation): string {
  return JSON.stringify([true, false].map((isV4) => familyForm(relation, isV4)));
}

interface Group<Atom> {
  readonly members: AtomClass<Atom>[];
  readonly atoms: number[];
}

function familyForm(relation: Relation, isV4: boolean): unknown {
  const sources = relation.sources.filter((group) => group.isV4 === isV4);
  const targets = relation.targets.filter((group) => group.isV4 === isV4);
  const keys = new Map<Access, string>();
  const keyOf = (source: AtomClass<SourceAtom>, target: AtomClass<TargetAtom>): string => {
    const access = relation.between(source, target);
    const known = keys.get(access) ?? accessKey(access);
    keys.set(access, known);
    return known;
  };
  const rows = groupBy(sources, (source) => targets.map((target) => keyOf(source, target)).join());
  const first = rows.map(({ members }) => members[0]);
  const columns = groupBy(targets, (target) =>
    first.map((source) => (source === undefined ? '' : keyOf(source, target))).join(),
  );
  const cells = rows.map(({ members: [source] }) =>
    columns.map(({ members: [target] }) =>
      source === undefined || target === undefined ? '' : keyOf(source, target),
    ),
  );
  return [rows.map((row) => row.atoms), columns.map((column) => column.atoms), cells];
}

/** Classes with equal keys as one group, atoms ascending, groups by their lowest atom. */
function groupBy<Atom extends SourceAtom | TargetAtom>(
  classes: readonly AtomClass<Atom>[],
  keyOf: (group: AtomClass<Atom>) => string,
): readonly Group<Atom>[] {
  const groups = new Map<string, Group<Atom>>();
  for (const member of classes) {
    const key = keyOf(member);
    const group = groups.get(key) ?? { members: [], atoms: [] };
    group.members.push(member);
    group.atoms.push(...member.atoms.map(({ id }) => id));
    groups.set(key, group);
  }
  for (const { atoms } of groups.values()) atoms.sort((a, b) => a - b);
  return [...groups.values()].sort((a, b) => (a.atoms[0] ?? 0) - (b.atoms[0] ?? 0));
}
