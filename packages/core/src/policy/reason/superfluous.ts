/** Rules that can go all at once: what they give, the rules that stay give together. */
import type { SourceAtom, TargetAtom } from './atoms.ts';
import { accessKey } from './normal-form.ts';
import type { AtomClass, Relation } from './relation.ts';

/** Pairs of classes under one rule, summed over the rules: beyond it nothing is said. */
const comparedPairsMax = 200_000;

type Pair = readonly [AtomClass<SourceAtom>, AtomClass<TargetAtom>];

/**
 * Exact over the world of the relation. `gone` are rules that are left out already; `mayGo` are looked at from the last
 * to the first, so that of equal rules the first one stays. What gives nothing anywhere is dead, not superfluous.
 */
export function superfluousRules(
  relation: Relation,
  mayGo: readonly string[],
  gone: ReadonlySet<string>,
): readonly string[] {
  const pairs = pairsOfRules(relation, new Set(mayGo));
  if (pairs === undefined) return [];
  const left = new Set(gone);
  const superfluous: string[] = [];
  for (const id of mayGo.toReversed()) {
    const places = pairs.get(id) ?? [];
    if (places.length === 0) continue;
    const without = new Set([...left, id]);
    const isNeeded = places.some(
      ([source, target]) =>
        accessKey(relation.withoutAll(without, source, target)) !==
        accessKey(relation.withoutAll(left, source, target)),
    );
    if (isNeeded) continue;
    left.add(id);
    superfluous.push(id);
  }
  return superfluous.toReversed();
}

function pairsOfRules(
  relation: Relation,
  wanted: ReadonlySet<string>,
): ReadonlyMap<string, readonly Pair[]> | undefined {
  const pairs = new Map<string, Pair[]>();
  let count = 0;
  for (const source of relation.sources) {
    for (const target of relation.reachedFrom(source)) {
      const [from, to] = [source.atoms[0], target.atoms[0]];
      if (source.isV4 !== target.isV4 || from === undefined || to === undefined) continue;
      for (const id of relation.rulesBetween(from, to)) {
        if (!wanted.has(id)) continue;
        count += 1;
        if (count > comparedPairsMax) return undefined;
        const list = pairs.get(id);
        if (list === undefined) pairs.set(id, [[source, target]]);
        else list.push([source, target]);
      }
    }
  }
  return pairs;
}
