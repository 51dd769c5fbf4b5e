/** Principals against the nodes there are: addresses as texts for the wire, as a set for questions. */
import {
  type Addr,
  emptyIpSet,
  everyAddr,
  formatPrefix,
  type IpSet,
  IpSet as IpSets,
  ipSetOfAddrs,
  ipSetOfPrefixes,
  parsePrefix,
} from '../../base/netip/index.ts';
import { present } from '../../base/assert.ts';
import type { PolicyFile } from '../file/model.ts';
import type { NodeIndex } from './node-index.ts';
import {
  hasSlot,
  intersectionOf,
  keyOfSet,
  type NodeSet,
  nodeSetOf,
  slotsOf,
  unionOf,
} from './node-set.ts';
import { meetsAnyPosture } from './posture.ts';
import type { Principals } from './program.ts';
import { tailnetSet, tailnetTexts } from './ranges.ts';

/** Above this many nodes, two sets count as equal only if they name the same nodes by their selectors. */
const comparedNodesMax = 64;
/** Contents that are kept from version to version before the numbering starts anew. */
const rememberedContentsMax = 100_000;

/** Every address that is not of the tailnet's own range. */
const beyondDevices: readonly string[] = everyAddr.subtract(tailnetSet).format();

/** What principals come to in one version of the inventory. */
export interface Resolved {
  readonly principals: Principals;
  /** Nodes that selectors of people and tags name; with `*`, every node that passes. */
  readonly nodes: NodeSet;
  /** Addresses written in the file, less those of devices that a posture keeps out. */
  readonly literals: IpSet;
  /** `SrcIPs` of the wire, without duplicates. */
  readonly texts: readonly string[];
  /** Equal contents have equal numbers: rules with one are merged. */
  readonly content: number;
}

export class Resolver {
  readonly #file: PolicyFile;
  readonly #index: NodeIndex;
  readonly #known: Map<string, Resolved>;
  readonly #contents: Map<string, number>;
  readonly #passing = new Map<string, NodeSet>();
  #routeTexts: readonly string[] | undefined;

  /** `before` is the resolver of the former version; what `keep` holds of it is not resolved again. */
  constructor(
    file: PolicyFile,
    index: NodeIndex,
    before?: Resolver,
    keep: (principals: Principals) => boolean = () => true,
  ) {
    this.#file = file;
    this.#index = index;
    // Numbers mean something only within one numbering, so that both are carried on or neither.
    const isCarried = before !== undefined && before.#contents.size <= rememberedContentsMax;
    this.#known = isCarried ? before.#carry(keep) : new Map();
    this.#contents = isCarried ? before.#contents : new Map();
  }

  /** The number of a content, by its texts in any order. */
  contentOf(texts: readonly string[]): number {
    return this.#numberOf([...texts].sort().join(' '));
  }

  #numberOf(key: string): number {
    const known = this.#contents.get(key);
    if (known !== undefined) return known;
    const next = this.#contents.size + 1;
    this.#contents.set(key, next);
    return next;
  }

  resolve(principals: Principals): Resolved {
    const known = this.#known.get(principals.key);
    if (known !== undefined) return known;
    const resolved = this.#resolve(principals);
    this.#known.set(principals.key, resolved);
    return resolved;
  }

  #carry(keep: (principals: Principals) => boolean): Map<string, Resolved> {
    const kept = new Map<string, Resolved>();
    for (const [key, resolved] of this.#known) {
      if (keep(resolved.principals)) kept.set(key, resolved);
    }
    return kept;
  }

  /** Nodes that a union of selectors names; every node for `*`. */
  nodesOf(principals: Principals): NodeSet {
    const named = this.#index.union(
      principals.hasAny || principals.hasDangerAll ? ['every'] : principals.keys,
    );
    if (principals.postures.length === 0) return named;
    return intersectionOf(named, this.#passingNodes(principals.postures));
  }

  #resolve(principals: Principals): Resolved {
    const nodes = this.nodesOf(principals);
    const isLimited = principals.postures.length > 0;
    const written = IpSets.unionAll(principals.literals.map(({ set }) => set));
    const literals = isLimited ? this.#limitLiterals(written, principals.postures) : written;
    const texts = this.#texts(principals, nodes, isLimited ? literals : undefined);
    return { principals, nodes, literals, texts, content: this.#content(principals, nodes, texts) };
  }

  #content(principals: Principals, nodes: NodeSet, texts: readonly string[]): number {
    const isPlain =
      principals.literals.length === 0 && !principals.hasAny && principals.postures.length === 0;
    if (!isPlain || texts.length <= 2 * comparedNodesMax) return this.contentOf(texts);
    return this.#numberOf(`nodes ${keyOfSet(nodes)}`);
  }

  #texts(principals: Principals, nodes: NodeSet, limited: IpSet | undefined): readonly string[] {
    if (principals.hasDangerAll && limited === undefined) return ['*'];
    const texts = new Set<string>();
    if (principals.hasAny && limited === undefined)
      for (const text of tailnetTexts) texts.add(text);
    if (principals.hasAny) {
      const routes = limited === undefined ? this.#approvedRoutes() : this.#routesBeyondDevices();
      for (const text of routes) texts.add(text);
    }
    const named =
      principals.hasAny && limited === undefined ? this.#index.union(principals.keys) : nodes;
    for (const slot of slotsOf(named)) {
      for (const text of present(this.#index.at(slot), 'node of a set').texts) texts.add(text);
    }
    if (principals.hasDangerAll) for (const text of beyondDevices) texts.add(text);
    if (limited === undefined) for (const { text } of principals.literals) texts.add(text);
    else for (const text of limited.format()) texts.add(text);
    return [...texts];
  }

  /** Routes behind which `*` also means machines, each as it was approved. */
  #approvedRoutes(): readonly string[] {
    this.#routeTexts ??= [
      ...new Set(
        slotsOf(this.#index.set('router')).flatMap((slot) =>
          present(this.#index.at(slot), 'router').subnetRoutes.map((route) => formatPrefix(route)),
        ),
      ),
    ];
    return this.#routeTexts;
  }

  /** The same without the tailnet's own range: a device must not pass for what lies behind a router. */
  #routesBeyondDevices(): readonly string[] {
    return this.#approvedRoutes().flatMap((text) => {
      const prefix = parsePrefix(text);
      const set = prefix.ok ? ipSetOfPrefixes([prefix.value]) : emptyIpSet;
      return set.overlaps(tailnetSet) ? set.subtract(tailnetSet).format() : [text];
    });
  }

  /** Devices that meet one of the postures. Shared devices are not asked. */
  #passingNodes(postures: readonly string[]): NodeSet {
    const key = JSON.stringify(postures);
    const known = this.#passing.get(key);
    if (known !== undefined) return known;
    const slots: number[] = [];
    for (const { node, slot } of this.#index.nodes()) {
      if (meetsAnyPosture(postures, this.#file, node.postureAttributes)) slots.push(slot);
    }
    const passing = unionOf([nodeSetOf(slots, this.#index.capacity), this.#index.set('shared')]);
    this.#passing.set(key, passing);
    return passing;
  }

  /** Postures are asked of devices only: what lies behind a router passes. */
  #limitLiterals(written: IpSet, postures: readonly string[]): IpSet {
    const passing = this.#passingNodes(postures);
    const addrs: Addr[] = [];
    for (const slot of this.#index.addressedIn(written)) {
      if (!hasSlot(passing, slot)) continue;
      const { node } = present(this.#index.at(slot), 'addressed node');
      addrs.push(...node.addresses.filter((addr) => written.containsAddr(addr)));
    }
    return written.subtract(tailnetSet).union(ipSetOfAddrs(addrs));
  }
}

/** The nodes among the resolved principals, in the version of `index`: `*` takes in nodes that came later. */
export function nodesAmong({ principals, nodes }: Resolved, index: NodeIndex): NodeSet {
  const isEveryone = principals.hasAny || principals.hasDangerAll;
  return isEveryone && principals.postures.length === 0 ? index.set('every') : nodes;
}

/** Whether an address is among the resolved principals. `index` is of the same version. */
export function containsAddr(resolved: Resolved, addr: Addr, index: NodeIndex): boolean {
  const { principals, literals } = resolved;
  const isLimited = principals.postures.length > 0;
  if (principals.hasDangerAll && (!isLimited || !tailnetSet.containsAddr(addr))) return true;
  const owner = index.ownerOf(addr);
  if (owner !== undefined && hasSlot(nodesAmong(resolved, index), owner.slot)) return true;
  if (literals.containsAddr(addr)) return true;
  if (!principals.hasAny) return false;
  if (tailnetSet.containsAddr(addr)) return !isLimited;
  return owner === undefined && isBehindRouter(addr, index);
}

function isBehindRouter(addr: Addr, index: NodeIndex): boolean {
  const set = ipSetOfAddrs([addr]);
  return slotsOf(index.set('router')).some((slot) =>
    (index.at(slot)?.subnetRoutes ?? []).some((route) => set.overlapsPrefix(route)),
  );
}
