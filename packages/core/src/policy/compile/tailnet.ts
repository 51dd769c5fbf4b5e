/** A policy and an inventory, compiled: what each node is told. Immutable; a change makes a new one that shares. */
import {
  type Addr,
  formatPrefix,
  isV4,
  type Prefix,
  prefixOfAddr,
} from '../../base/netip/index.ts';
import type { JsonData } from '../file/source.ts';
import type { PolicyFile } from '../file/model.ts';
import { type AttributeRule, attributesOf, ipPoolOf, lowerAttributes } from './attributes.ts';
import { compileFilter, type FilterContext, type NodeRule, sourcesContain } from './filter.ts';
import type { Inventory, InventoryNode, NodeChange } from './inventory.ts';
import { indexNodes, type IndexedNode, type NodeIndex } from './node-index.ts';
import { hasSlot, type NodeSet, slotsOf, unionOf, withSlot } from './node-set.ts';
import { lowerPolicy, type Program } from './program.ts';
import { isReached, reachOf } from './reach.ts';
import { Resolver } from './resolve.ts';
import { approvableRoutes } from './routes.ts';
import { compileSsh, type SshProgram, lowerSsh } from './ssh-rules.ts';
import { dirtOf, isDirty, type Dirt } from './update.ts';
import type { WireCapMap, WireFilterRule, WireSshRule } from './wire.ts';

export interface TailnetUpdate {
  readonly tailnet: Tailnet;
  /** Ids of the nodes that may be told something else than before. Never too few; seldom too many. */
  readonly affected: readonly string[];
}

/** The parts of the program beside the network rules. */
interface Extras {
  readonly ssh: SshProgram;
  readonly attributes: readonly AttributeRule[];
}

interface Caches {
  readonly reach: (NodeSet | undefined)[];
  readonly filters: (readonly NodeRule[] | undefined)[];
  /** Indexes of the rules that reach each slot, empty until asked for; undefined after a change. */
  readonly ruleLists: number[][] | undefined;
  readonly resolver: Resolver;
}

export class Tailnet {
  readonly program: Program;
  readonly index: NodeIndex;
  readonly #extras: Extras;
  readonly #caches: Caches;

  constructor(program: Program, index: NodeIndex, extras: Extras, caches?: Caches) {
    this.program = program;
    this.index = index;
    this.#extras = extras;
    this.#caches = caches ?? {
      reach: [],
      filters: [],
      ruleLists: [],
      resolver: new Resolver(program.file, index),
    };
  }

  /** Packet filter rules for a node, in the shape of `tailcfg.FilterRule`; none for an unknown node. */
  filterOf(nodeId: string): readonly WireFilterRule[] {
    return this.rulesOf(nodeId).map(({ wire }) => wire);
  }

  /** The same with the rule of the file behind each. */
  rulesOf(nodeId: string): readonly NodeRule[] {
    const indexed = this.index.byId(nodeId);
    if (indexed === undefined) return [];
    const { filters } = this.#caches;
    const known = filters[indexed.slot];
    if (known !== undefined) return known;
    const rules = compileFilter(this.context, indexed, this.#rulesReaching(indexed.slot));
    filters[indexed.slot] = rules;
    return rules;
  }

  /** By one pass over all rules the first time, which costs what they reach; after changes by asking each rule. */
  #rulesReaching(slot: number): readonly number[] {
    const rules = this.program.rules ?? [];
    const { ruleLists } = this.#caches;
    if (ruleLists === undefined) {
      return rules.flatMap((_, i) => (hasSlot(this.reachOfRule(i), slot) ? [i] : []));
    }
    if (ruleLists.length === 0) {
      for (let i = 0; i < this.index.capacity; i += 1) ruleLists.push([]);
      rules.forEach((_, i) => {
        for (const at of slotsOf(this.reachOfRule(i))) ruleLists[at]?.push(i);
      });
    }
    return ruleLists[slot] ?? [];
  }

  get context(): FilterContext {
    return { program: this.program, index: this.index, resolver: this.#caches.resolver };
  }

  get resolver(): Resolver {
    return this.#caches.resolver;
  }

  /** The nodes to which rule `i` of the program says something. */
  reachOfRule(i: number): NodeSet {
    const { reach } = this.#caches;
    const known = reach[i];
    if (known !== undefined) return known;
    const rule = this.program.rules?.[i];
    const set = rule === undefined ? new Uint32Array(0) : reachOf(rule, this.index);
    reach[i] = set;
    return set;
  }

  /** SSH rules for a node, in the order in which its server tries them. `checkUrl` is where checks are asked. */
  sshOf(nodeId: string, checkUrl: string): readonly WireSshRule[] {
    const indexed = this.index.byId(nodeId);
    if (indexed === undefined) return [];
    return compileSsh(this.#extras.ssh, this.index, this.#caches.resolver, indexed, checkUrl);
  }

  /** Node attributes of the policy: name to values, null where there are none. */
  attributesOf(nodeId: string): WireCapMap {
    const indexed = this.index.byId(nodeId);
    return indexed === undefined
      ? {}
      : attributesOf(this.program, this.#extras.attributes, indexed);
  }

  /** Prefixes from which a node may get its address; none where the policy does not say. */
  ipPoolOf(nodeId: string): readonly Prefix[] {
    const indexed = this.index.byId(nodeId);
    return indexed === undefined ? [] : ipPoolOf(this.#extras.attributes, indexed);
  }

  /** What WhoIs of `source` says on a node: values of all rules that apply, in file order. */
  capabilitiesOf(nodeId: string, source: Addr): WireCapMap {
    const indexed = this.index.byId(nodeId);
    if (indexed === undefined) return {};
    // A client asks with its own address of the family of the source.
    const own = new Set(
      indexed.node.addresses
        .filter((addr) => isV4(addr) === isV4(source))
        .map((addr) => formatPrefix(prefixOfAddr(addr))),
    );
    const found = new Map<string, readonly JsonData[] | null>();
    for (const rule of this.rulesOf(nodeId)) {
      const grants = rule.wire.CapGrant ?? [];
      if (grants.length === 0 || !sourcesContain(rule, source, this.index)) continue;
      for (const { Dsts, CapMap } of grants) {
        if (!Dsts.some((dst) => own.has(dst))) continue;
        for (const [name, values] of Object.entries(CapMap)) {
          const before = found.get(name) ?? null;
          found.set(name, before === null ? values : [...before, ...(values ?? [])]);
        }
      }
    }
    return Object.fromEntries(found);
  }

  /** Advertised routes of a node that its policy approves by itself. */
  approvableRoutesOf(node: InventoryNode): readonly Prefix[] {
    return approvableRoutes(this.program, node);
  }

  /** This tailnet after one node came, changed or went. */
  update(change: NodeChange): TailnetUpdate {
    const { index, before, after } = this.index.update(change);
    const dirt = dirtOf(before, after);
    const { resolver: old } = this.#caches;
    const { file } = this.program;
    const resolver = new Resolver(file, index, old, (principals) => !isDirty(principals, dirt));
    const slot = (after ?? before)?.slot;
    const reach = slot === undefined ? this.#caches.reach : this.#updateReach(index, slot, after);
    const filters = [...this.#caches.filters];
    const caches: Caches = { reach, filters, ruleLists: undefined, resolver };
    const tailnet = new Tailnet(this.program, index, this.#extras, caches);
    const affected = unionOf(this.#affected(tailnet, dirt, before, after));
    for (const at of slotsOf(affected)) filters[at] = undefined;
    if (slot !== undefined) filters[slot] = undefined;
    return { tailnet, affected: idsOf(affected, index) };
  }

  /** Only the changed node can enter or leave the reach of a rule. */
  #updateReach(
    index: NodeIndex,
    slot: number,
    after: IndexedNode | undefined,
  ): (NodeSet | undefined)[] {
    const rules = this.program.rules ?? [];
    return this.#caches.reach.map((set, i) => {
      const rule = rules[i];
      // Routers of the tailnet's own range are reached through other nodes: look again when asked.
      if (set === undefined || rule === undefined || !isEmptyRouter(index, this.index))
        return undefined;
      return withSlot(set, slot, after !== undefined && isReached(rule, after, index));
    });
  }

  #affected(
    next: Tailnet,
    dirt: Dirt,
    before: IndexedNode | undefined,
    after: IndexedNode | undefined,
  ): readonly NodeSet[] {
    const sets: NodeSet[] = [];
    if (after !== undefined) sets.push(withSlot(new Uint32Array(0), after.slot, true));
    sets.push(next.index.set('tailnet-router'));
    if (this.program.rules === undefined && dirt.routes) sets.push(next.index.set('every'));
    (this.program.rules ?? []).forEach((rule, i) => {
      if (isDirty(rule.src, dirt)) sets.push(this.reachOfRule(i), next.reachOfRule(i));
      if (rule.hasSelf) sets.push(...ownersOf(next.index, before, after));
      if (rule.companions.length > 0 && isDirty(rule.reversed, dirt)) {
        // The reversed rule answers to every source, also to those that the file names by address.
        const isNamed = rule.src.literals.length === 0 && !rule.src.hasDangerAll;
        sets.push(isNamed ? next.resolver.nodesOf(rule.src) : next.index.set('every'));
      }
    });
    for (const rule of this.#extras.ssh.rules) {
      // A local part is the name of the owner, so that a change of hands matters inside one set too.
      const changedHands =
        rule.domains.length > 0 &&
        before?.ownerId !== after?.ownerId &&
        rule.src.keys.some((key) => dirt.nodeKeys.has(key));
      if (changedHands || isDirty(rule.src, dirt))
        sets.push(next.index.union(rule.dst.keys), next.resolver.nodesOf(rule.src));
      if (rule.hasSelf) sets.push(...ownersOf(next.index, before, after));
    }
    return sets;
  }
}

function isEmptyRouter(...indexes: readonly NodeIndex[]): boolean {
  return indexes.every((index) => slotsOf(index.set('tailnet-router')).length === 0);
}

function ownersOf(
  index: NodeIndex,
  ...nodes: readonly (IndexedNode | undefined)[]
): readonly NodeSet[] {
  return nodes.flatMap((node) =>
    node?.ownerId === undefined ? [] : [index.set(`user:${node.ownerId}`)],
  );
}

function idsOf(set: NodeSet, index: NodeIndex): readonly string[] {
  return slotsOf(set).flatMap((slot) => index.at(slot)?.node.id ?? []);
}

/** Looks names up and indexes nodes. What each node is told is worked out when asked, and kept. */
export function compileTailnet(file: PolicyFile, inventory: Inventory): Tailnet {
  const program = lowerPolicy(file, inventory);
  const index = indexNodes(inventory.nodes, program.directory);
  return new Tailnet(program, index, {
    ssh: lowerSsh(program),
    attributes: lowerAttributes(program),
  });
}
