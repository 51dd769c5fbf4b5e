/** Atoms for people: names of machines, and ranges put together again. */
import { allV4, allV6, IpSet, ipSetOfPrefixes } from '../../base/netip/index.ts';
import { internetSet } from '../compile/ranges.ts';
import type { SourceAtom, TargetAtom } from './atoms.ts';

/** Real machines in their order, then imagined ones, then addresses that belong to none. */
export function sourceLabels(atoms: readonly SourceAtom[]): readonly string[] {
  const labels = new Set<string>();
  const regions: IpSet[] = [];
  for (const { label, region } of atoms) {
    if (region === undefined) labels.add(label);
    else regions.push(region);
  }
  if (regions.length > 0) labels.add(`addresses ${formatSet(IpSet.unionAll(regions))}`);
  return [...labels];
}

/** Machines in their order; what lies behind one of them is one entry each. */
export function targetLabels(atoms: readonly TargetAtom[]): readonly string[] {
  const labels = new Set<string>();
  const behind = new Map<string, IpSet[]>();
  for (const { label, region } of atoms) {
    if (region === undefined) labels.add(label);
    else behind.set(label, [...(behind.get(label) ?? []), region]);
  }
  for (const [label, regions] of behind) {
    labels.add(`${formatSet(IpSet.unionAll(regions))} through ${label}`);
  }
  return [...labels];
}

/** All of the internet in one or both families by its name. */
function formatSet(set: IpSet): string {
  const families = internetFamilies.filter((family) => set.containsSet(family));
  if (families.length === 0) return set.format().join(', ');
  const rest = families.reduce((left, family) => left.subtract(family), set);
  return ['the internet', ...rest.format()].join(', ');
}

const internetFamilies: readonly IpSet[] = [allV4, allV6].map((family) =>
  internetSet.intersect(ipSetOfPrefixes([family])),
);
