/** Who reaches what, as a table with as few rows as say it exactly. */
import { isSameFamily, type SourceAtom, type TargetAtom } from './atoms.ts';
import { formatOpening, isClosed, openingKey } from './opening.ts';
import type { Relation } from './relation.ts';
import { formatRuleRef, type RuleRef, ruleRefs } from './rule-refs.ts';
import { formatLogins } from './ssh-logins.ts';
import { sourceLabels, targetLabels } from './labels.ts';
import { accessKey } from './normal-form.ts';

/** Sources that all have the same access to targets that are all the same to them. */
export interface ReachRow {
  readonly sources: readonly string[];
  readonly targets: readonly string[];
  /** `tcp:22,443`, `*`, or `nothing`. */
  readonly network: string;
  readonly capabilities: readonly string[];
  readonly ssh: readonly string[];
  readonly rules: readonly RuleRef[];
  /** A capability without any open port: the program never sees the caller. */
  readonly isUnusable: boolean;
}

export interface ReachQuestion {
  /** All sources where it does not say. */
  readonly from?: readonly SourceAtom[];
  readonly to?: readonly TargetAtom[];
}

/** Rows in a stable order: that of the machines, then of the addresses. Pairs without any access have no row. */
export function reach(relation: Relation, { from, to }: ReachQuestion = {}): readonly ReachRow[] {
  const sources = byClass(from ?? relation.atoms.sources, (atom) => relation.sourceClass(atom)?.id);
  const targets = byClass(to ?? relation.atoms.targets, (atom) => relation.targetClass(atom)?.id);
  const groups = new Map<string, { row: ReachRow; sources: SourceAtom[]; targets: TargetAtom[] }>();
  for (const source of sources) {
    const reached = new Map<string, { row: ReachRow; targets: TargetAtom[] }>();
    for (const target of targets) {
      const [one, other] = [source[0], target[0]];
      if (one === undefined || other === undefined || !isSameFamily(one, other)) continue;
      const row = rowOf(relation, one, other);
      if (row === undefined) continue;
      const key = JSON.stringify([accessKey(relation.access(one, other)), row.rules]);
      const known = reached.get(key) ?? { row, targets: [] };
      known.targets.push(...target);
      reached.set(key, known);
    }
    for (const [key, { row, targets: list }] of reached) {
      const groupKey = `${key} ${list.map(({ id }) => id).join()}`;
      const group = groups.get(groupKey) ?? { row, sources: [], targets: list };
      group.sources.push(...source);
      groups.set(groupKey, group);
    }
  }
  return distinctRows(
    [...groups.values()].map(({ row, sources: one, targets: two }) => ({
      ...row,
      sources: sourceLabels(one),
      targets: targetLabels(two),
    })),
  );
}

function rowOf(relation: Relation, source: SourceAtom, target: TargetAtom): ReachRow | undefined {
  const { opening, capabilities, ssh } = relation.access(source, target);
  if (isClosed(opening) && capabilities.length === 0 && ssh.size === 0) return undefined;
  const ids = relation.rulesBetween(source, target);
  return {
    sources: [],
    targets: [],
    network: formatOpening(opening),
    capabilities,
    ssh: formatLogins(ssh),
    rules: ruleRefs(relation.tailnet.program.file, ids),
    isUnusable: isClosed(opening) && (capabilities.length > 0 || ssh.size > 0),
  };
}

function byClass<Atom>(
  atoms: readonly Atom[],
  classOf: (atom: Atom) => number | undefined,
): readonly (readonly Atom[])[] {
  const classes = new Map<number | undefined, Atom[]>();
  for (const atom of atoms) {
    const id = classOf(atom);
    const known = classes.get(id);
    if (known === undefined) classes.set(id, [atom]);
    else known.push(atom);
  }
  return [...classes.values()];
}

/** The IPv4 and the IPv6 half of one fact are one row. */
function distinctRows(rows: readonly ReachRow[]): readonly ReachRow[] {
  const distinct = new Map<string, ReachRow>();
  for (const row of rows) distinct.set(JSON.stringify(row), row);
  return [...distinct.values()];
}

/** RFC 4180 with a header; lists inside a cell are separated by `; `. */
export function reachCsv(rows: readonly ReachRow[]): string {
  const lines = rows.map((row) => [
    row.sources.join('; '),
    row.targets.join('; '),
    row.network,
    row.capabilities.join('; '),
    row.ssh.join('; '),
    row.rules.map(formatRuleRef).join('; '),
  ]);
  const header = ['sources', 'targets', 'network', 'capabilities', 'ssh', 'rules'];
  return [header, ...lines].map((line) => `${line.map(csvField).join(',')}\r\n`).join('');
}

/** Quoted where needed; a leading `=`, `+`, `-` or `@` is defused, since spreadsheets take it for a formula. */
function csvField(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One cell of a matrix: everything, something, or nothing of what was asked for is open. */
export type MatrixCell = 'allow' | 'partial' | 'deny';

export interface ReachMatrix {
  readonly rows: readonly (readonly string[])[];
  readonly columns: readonly (readonly string[])[];
  /** Network openings by row and column. */
  readonly cells: readonly (readonly string[])[];
}

/** Sources with equal rows and targets with equal columns are folded. One family, since both say the same. */
export function reachMatrix(relation: Relation, isV4 = true): ReachMatrix {
  const sources = relation.sources.filter((group) => group.isV4 === isV4);
  const targets = relation.targets.filter((group) => group.isV4 === isV4);
  const rows = fold(sources, (source) =>
    targets.map((target) => openingKey(relation.between(source, target).opening)).join(';'),
  );
  const columns = fold(targets, (target) =>
    sources.map((source) => openingKey(relation.between(source, target).opening)).join(';'),
  );
  return {
    rows: rows.map((row) => sourceLabels(row.flatMap(({ atoms }) => atoms))),
    columns: columns.map((column) => targetLabels(column.flatMap(({ atoms }) => atoms))),
    cells: rows.map(([source]) =>
      columns.map(([target]) =>
        source === undefined || target === undefined
          ? 'nothing'
          : formatOpening(relation.between(source, target).opening),
      ),
    ),
  };
}

function fold<T>(items: readonly T[], keyOf: (item: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [item]);
    else known.push(item);
  }
  return [...groups.values()];
}

/** Whether what is asked for is open from all, some or none of the sources to the targets. */
export function cellOf(
  relation: Relation,
  { from = relation.atoms.sources, to = relation.atoms.targets }: ReachQuestion,
  isOpen: (access: ReturnType<Relation['access']>) => boolean,
): MatrixCell {
  let open = 0;
  let shut = 0;
  for (const source of from) {
    for (const target of to) {
      if (!isSameFamily(source, target)) continue;
      if (isOpen(relation.access(source, target))) open += 1;
      else shut += 1;
    }
  }
  if (open === 0) return 'deny';
  return shut === 0 ? 'allow' : 'partial';
}
