/**
 * The atoms of access: addresses from which and to which packets can go, few enough to look at one by one, many
 * enough that no rule of the policies tells two addresses of one atom apart.
 */
import {
  type Addr,
  everyAddr,
  formatRange,
  type IpSet,
  IpSet as IpSets,
  ipSetOf,
  ipSetOfAddrs,
  ipSetOfPrefixes,
  isV4,
  prevAddr,
} from '../../base/netip/index.ts';
import { internetSet, tailnetSet } from '../compile/ranges.ts';
import type { IndexedNode } from '../compile/node-index.ts';
import type { Literal } from '../compile/program.ts';
import type { Tailnet } from '../compile/tailnet.ts';
import type { World } from './world.ts';

/** A place that packets come from: an address of a node, or addresses that belong to none. */
export interface SourceAtom {
  readonly id: number;
  readonly addr: Addr;
  readonly slot: number | undefined;
  readonly label: string;
  /** The addresses it stands for, where they belong to no node; undefined for an address of a node. */
  readonly region: IpSet | undefined;
}

/** A place that packets go to: an address of a node, or addresses behind a router or exit node. */
export interface TargetAtom {
  readonly id: number;
  readonly addr: Addr;
  /** The node that receives the packet and filters it. */
  readonly slot: number;
  readonly nodeId: string;
  readonly isOwn: boolean;
  /** The receiver by name. */
  readonly label: string;
  /** The addresses behind the receiver that it stands for; undefined for an address of its own. */
  readonly region: IpSet | undefined;
}

export interface Atoms {
  readonly world: World;
  readonly sources: readonly SourceAtom[];
  readonly targets: readonly TargetAtom[];
}

/** The atoms of a world under some policies, all of them compiled against that world. */
export function atomsOf(world: World, tailnets: readonly Tailnet[]): Atoms {
  const [first] = tailnets;
  if (first === undefined) return { world, sources: [], targets: [] };
  const nodes = [...first.index.nodes()];
  const labelOf = ({ node }: IndexedNode): string =>
    world.archetypes.get(node.id) ?? (node.hostname === '' ? node.id : node.hostname);
  const written = tailnets.flatMap((tailnet) => literalSets(tailnet));
  const cuts = new Cuts([
    ...written,
    tailnetSet,
    internetSet,
    ...nodes.map(({ subnetRoutes }) => ipSetOfPrefixes(subnetRoutes)),
    // An address of a node is never mixed with others: routers of the tailnet's own range forward to it.
    ipSetOfAddrs(nodes.flatMap(({ node }) => node.addresses)),
  ]);
  return {
    world,
    sources: sourceAtoms(nodes, labelOf, written, cuts),
    targets: targetAtoms(
      nodes.filter(({ node }) => !world.sourcesOnly.has(node.id)),
      labelOf,
      cuts,
    ),
  };
}

function literalSets({ program }: Tailnet): readonly IpSet[] {
  const sets: IpSet[] = [];
  const add = (literals: readonly Literal[]): void => {
    for (const { set } of literals) sets.push(set);
  };
  for (const rule of program.rules ?? []) {
    add(rule.src.literals);
    for (const destination of [...rule.dst, ...rule.targets.flatMap((target) => target.dst)]) {
      if (destination.kind === 'literal') add(destination.literals);
    }
  }
  return sets;
}

/** The places at which some set begins or ends. */
class Cuts {
  readonly #starts: readonly Addr[];

  constructor(sets: readonly IpSet[]) {
    const starts = new Map<bigint, Addr>();
    for (const set of new Set(sets)) {
      for (const { first, last } of [...set.toRanges(), ...set.complement().toRanges()]) {
        starts.set(first.key, first);
        const next = { key: last.key + 1n, zone: '' };
        if (everyAddr.containsAddr(next)) starts.set(next.key, next);
      }
    }
    this.#starts = [...starts.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** The set in pieces that no cut divides. */
  pieces(set: IpSet): readonly IpSet[] {
    return set.toRanges().flatMap(({ first, last }) => {
      const inner: Addr[] = [];
      for (let i = this.#after(first.key); i < this.#starts.length; i += 1) {
        const start = this.#starts[i];
        if (start === undefined || start.key > last.key) break;
        inner.push(start);
      }
      const begins = [first, ...inner];
      return begins.map((begin, i) => {
        const next = begins[i + 1];
        const end = next === undefined ? last : (prevAddr(next) ?? last);
        return ipSetOf([{ first: begin, last: end }]);
      });
    });
  }

  /** Index of the first cut after the key. */
  #after(key: bigint): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle]?.key ?? 0n) <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function sourceAtoms(
  nodes: readonly IndexedNode[],
  labelOf: (node: IndexedNode) => string,
  written: readonly IpSet[],
  cuts: Cuts,
): readonly SourceAtom[] {
  const atoms: SourceAtom[] = [];
  for (const indexed of nodes) {
    for (const addr of indexed.node.addresses) {
      atoms.push({
        id: atoms.length,
        addr,
        slot: indexed.slot,
        label: labelOf(indexed),
        region: undefined,
      });
    }
  }
  const own = ipSetOfAddrs(nodes.flatMap(({ node }) => node.addresses));
  // Tailnet addresses that no device has send nothing; those that a rule writes down may get one.
  const possible = everyAddr.subtract(tailnetSet).union(IpSets.unionAll(written)).subtract(own);
  for (const piece of cuts.pieces(possible)) {
    const [range] = piece.toRanges();
    if (range === undefined) continue;
    const label = `addresses ${formatRange(range)}`;
    atoms.push({ id: atoms.length, addr: range.first, slot: undefined, label, region: piece });
  }
  return atoms;
}

function targetAtoms(
  nodes: readonly IndexedNode[],
  labelOf: (node: IndexedNode) => string,
  cuts: Cuts,
): readonly TargetAtom[] {
  const atoms: TargetAtom[] = [];
  for (const indexed of nodes) {
    const { slot, node } = indexed;
    const place = { slot, nodeId: node.id, label: labelOf(indexed) };
    for (const addr of node.addresses) {
      atoms.push({ ...place, id: atoms.length, addr, isOwn: true, region: undefined });
    }
    const forwarded = ipSetOfPrefixes(indexed.subnetRoutes)
      .union(indexed.isExitNode ? internetSet : ipSetOf([]))
      .subtract(ipSetOfAddrs(node.addresses));
    for (const piece of cuts.pieces(forwarded)) {
      const [range] = piece.toRanges();
      if (range === undefined) continue;
      atoms.push({ ...place, id: atoms.length, addr: range.first, isOwn: false, region: piece });
    }
  }
  return atoms;
}

/**
 * Whether a packet between the two can exist. A machine and itself count: an imagined machine stands for all of
 * its kind, and one of them may well talk to another.
 */
export function isSameFamily(source: SourceAtom, target: TargetAtom): boolean {
  return isV4(source.addr) === isV4(target.addr);
}
