/** Nodes by slot, with one set of nodes for every key that a selector can ask for. Immutable; changes share. */
import {
  type Addr,
  cgnatRange,
  formatAddr,
  isExitRoute,
  type IpSet,
  type Prefix,
  prefixEquals,
  prefixesOverlap,
  tailscaleUlaRange,
} from '../../base/netip/index.ts';
import type { Directory } from './directory.ts';
import type { InventoryNode, NodeChange } from './inventory.ts';
import { emptyNodeSet, type NodeSet, nodeSetOf, unionOf, withSlot } from './node-set.ts';

/** A node with what compiling asks of it again and again. */
export interface IndexedNode {
  readonly node: InventoryNode;
  readonly slot: number;
  readonly texts: readonly string[];
  /** Keys of the sets it is in: `tag:x`, `user:<id>`, `member`, `tagged`, `shared`. */
  readonly keys: readonly string[];
  /** The owner, unless the node is tagged. */
  readonly ownerId: string | undefined;
  /** Advertised and approved, without exit routes. */
  readonly subnetRoutes: readonly Prefix[];
  readonly isExitNode: boolean;
  /** Whether a subnet route lies in the ranges from which nodes have their own addresses. */
  readonly routesTailnet: boolean;
}

interface AddressEntry {
  readonly key: bigint;
  readonly slot: number;
}

export interface IndexUpdate {
  readonly index: NodeIndex;
  readonly before: IndexedNode | undefined;
  readonly after: IndexedNode | undefined;
}

export class NodeIndex {
  readonly #slots: readonly (IndexedNode | undefined)[];
  readonly #byId: ReadonlyMap<string, number>;
  readonly #sets: ReadonlyMap<string, NodeSet>;
  readonly #directory: Directory;
  #addresses: readonly AddressEntry[] | undefined;

  constructor(
    slots: readonly (IndexedNode | undefined)[],
    byId: ReadonlyMap<string, number>,
    sets: ReadonlyMap<string, NodeSet>,
    directory: Directory,
  ) {
    this.#slots = slots;
    this.#byId = byId;
    this.#sets = sets;
    this.#directory = directory;
  }

  /** One more than the highest slot in use. */
  get capacity(): number {
    return this.#slots.length;
  }

  at(slot: number): IndexedNode | undefined {
    return this.#slots[slot];
  }

  byId(id: string): IndexedNode | undefined {
    const slot = this.#byId.get(id);
    return slot === undefined ? undefined : this.#slots[slot];
  }

  *nodes(): Iterable<IndexedNode> {
    for (const node of this.#slots) if (node !== undefined) yield node;
  }

  set(key: string): NodeSet {
    return this.#sets.get(key) ?? emptyNodeSet;
  }

  union(keys: readonly string[]): NodeSet {
    return unionOf(keys.map((key) => this.set(key)));
  }

  /** Nodes with an own address in the set, found by binary search. */
  addressedIn(set: IpSet): readonly number[] {
    const addresses = this.#sortedAddresses();
    const slots: number[] = [];
    for (const { first, last } of set.toRanges()) {
      for (let i = lowerBound(addresses, first.key); i < addresses.length; i += 1) {
        const entry = addresses[i];
        if (entry === undefined || entry.key > last.key) break;
        slots.push(entry.slot);
      }
    }
    return slots;
  }

  ownerOf(addr: Addr): IndexedNode | undefined {
    const addresses = this.#sortedAddresses();
    const entry = addresses[lowerBound(addresses, addr.key)];
    return entry?.key === addr.key ? this.#slots[entry.slot] : undefined;
  }

  #sortedAddresses(): readonly AddressEntry[] {
    this.#addresses ??= sortAddresses(this.nodes());
    return this.#addresses;
  }

  /** The index after one change. Costs a copy of the slot table, and of the sets that the node is in. */
  update(change: NodeChange): IndexUpdate {
    const id = change.kind === 'put' ? change.node.id : change.id;
    const before = this.byId(id);
    if (change.kind === 'remove' && before === undefined) {
      return { index: this, before: undefined, after: undefined };
    }
    const slot = before?.slot ?? this.#freeSlot();
    const after = change.kind === 'put' ? indexNode(change.node, slot, this.#directory) : undefined;
    const slots = [...this.#slots];
    slots[slot] = after;
    const byId = new Map(this.#byId);
    if (after === undefined) byId.delete(id);
    else byId.set(id, slot);
    const sets = new Map(this.#sets);
    for (const key of before?.keys ?? [])
      sets.set(key, withSlot(sets.get(key) ?? emptyNodeSet, slot, false));
    for (const key of after?.keys ?? [])
      sets.set(key, withSlot(sets.get(key) ?? emptyNodeSet, slot, true));
    return { index: new NodeIndex(slots, byId, sets, this.#directory), before, after };
  }

  #freeSlot(): number {
    const hole = this.#byId.size < this.#slots.length ? this.#slots.indexOf(undefined) : -1;
    return hole < 0 ? this.#slots.length : hole;
  }
}

export function indexNodes(nodes: readonly InventoryNode[], directory: Directory): NodeIndex {
  const slots = nodes.map((node, slot) => indexNode(node, slot, directory));
  const members = new Map<string, number[]>();
  for (const { keys, slot } of slots) {
    for (const key of keys) {
      const list = members.get(key);
      if (list === undefined) members.set(key, [slot]);
      else list.push(slot);
    }
  }
  const sets = new Map<string, NodeSet>();
  for (const [key, list] of members) sets.set(key, nodeSetOf(list, slots.length));
  const byId = new Map(slots.map(({ node, slot }) => [node.id, slot]));
  return new NodeIndex(slots, byId, sets, directory);
}

function indexNode(node: InventoryNode, slot: number, directory: Directory): IndexedNode {
  const effective = node.advertisedRoutes.filter((route) =>
    node.approvedRoutes.some((approved) => prefixEquals(route, approved)),
  );
  const subnetRoutes = effective.filter((route) => !isExitRoute(route));
  const isExitNode = subnetRoutes.length < effective.length;
  const routesTailnet = subnetRoutes.some(
    (route) => prefixesOverlap(route, cgnatRange) || prefixesOverlap(route, tailscaleUlaRange),
  );
  const ownerId = node.tags.length === 0 ? node.userId : undefined;
  const keys = ['every', ...keysOf(node, ownerId, directory)];
  if (subnetRoutes.length > 0) keys.push('router');
  if (isExitNode) keys.push('exit');
  if (routesTailnet) keys.push('tailnet-router');
  return {
    node,
    slot,
    texts: node.addresses.map((addr) => formatAddr(addr)),
    keys,
    ownerId,
    subnetRoutes,
    isExitNode,
    routesTailnet,
  };
}

function keysOf(
  node: InventoryNode,
  ownerId: string | undefined,
  directory: Directory,
): readonly string[] {
  if (node.tags.length > 0) return ['tagged', ...new Set(node.tags)];
  if (ownerId === undefined) return [];
  return [`user:${ownerId}`, directory.isShared(ownerId) ? 'shared' : 'member'];
}

function sortAddresses(nodes: Iterable<IndexedNode>): readonly AddressEntry[] {
  const entries: AddressEntry[] = [];
  for (const { node, slot } of nodes) {
    for (const addr of node.addresses) entries.push({ key: addr.key, slot });
  }
  return entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

function lowerBound(entries: readonly AddressEntry[], key: bigint): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.key ?? 0n) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
