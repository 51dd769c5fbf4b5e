/** Which nodes a rule says something to: those that are its destinations, or that route to them. */
import { type IpSet, ipSetOfPrefixes } from '../../base/netip/index.ts';
import { present } from '../../base/assert.ts';
import type { IndexedNode, NodeIndex } from './node-index.ts';
import { hasSlot, type NodeSet, nodeSetOf, slotsOf, unionOf } from './node-set.ts';
import type { Destination, Literal, ProgramRule } from './program.ts';
import { internetSet } from './ranges.ts';

/** How a literal destination concerns a node. */
export type LiteralMatch = 'own' | 'route' | 'exit' | 'none';

/** Own address inside, else an approved route that overlaps, else an exit node for public addresses. */
export function matchLiteral(literal: Literal, indexed: IndexedNode): LiteralMatch {
  if (indexed.node.addresses.some((addr) => literal.set.containsAddr(addr))) return 'own';
  if (indexed.subnetRoutes.some((route) => literal.set.overlapsPrefix(route))) return 'route';
  if (indexed.isExitNode && internetSet.containsSet(literal.set)) return 'exit';
  return 'none';
}

/** Nodes among which a rule with this destination has its receivers. A superset only for `autogroup:self`. */
function receiversOf(destination: Destination, index: NodeIndex): NodeSet {
  switch (destination.kind) {
    case 'any':
      return index.set('every');
    case 'nodes':
      return unionOf([index.union(destination.keys), tailnetRouters(destination.keys, index)]);
    case 'self':
      return index.union(['member', 'shared']);
    case 'internet':
      return index.set('exit');
    case 'literal':
      return literalReceivers(destination, index);
  }
}

function literalReceivers(
  destination: Destination & { kind: 'literal' },
  index: NodeIndex,
): NodeSet {
  const slots = [...index.addressedIn(destination.set)];
  for (const slot of slotsOf(index.union(['router', 'exit']))) {
    const indexed = present(index.at(slot), 'router');
    if (destination.literals.some((literal) => matchLiteral(literal, indexed) !== 'none')) {
      slots.push(slot);
    }
  }
  return nodeSetOf(slots, index.capacity);
}

/** Routers of a part of the tailnet's own range, where that part holds one of the nodes. */
function tailnetRouters(keys: readonly string[], index: NodeIndex): NodeSet {
  const routers = slotsOf(index.set('tailnet-router'));
  const slots = routers.filter((slot) => {
    const indexed = present(index.at(slot), 'router');
    return routedAddresses(indexed, keys, index).length > 0;
  });
  return nodeSetOf(slots, index.capacity);
}

/** Addresses of the named nodes that a router of the tailnet's own range forwards to. */
export function routedAddresses(
  router: IndexedNode,
  keys: readonly string[],
  index: NodeIndex,
): readonly string[] {
  if (!router.routesTailnet) return [];
  const routes: IpSet = ipSetOfPrefixes(router.subnetRoutes);
  const named = index.union(keys);
  return index.addressedIn(routes).flatMap((slot) => {
    const other = index.at(slot);
    if (other === undefined || slot === router.slot || !hasSlot(named, slot)) return [];
    return other.texts.filter((_, i) =>
      routes.containsAddr(present(other.node.addresses[i], 'address')),
    );
  });
}

export function reachOf(rule: ProgramRule, index: NodeIndex): NodeSet {
  const reach = unionOf(rule.dst.map((destination) => receiversOf(destination, index)));
  return rule.via.size === 0 ? reach : viaReach(rule, index);
}

/** Routers with one of the tags. What they route of the destinations is looked at when their rules are made. */
function viaReach(rule: ProgramRule, index: NodeIndex): NodeSet {
  return index.union([...rule.via]);
}

/** Whether one node is in `reachOf(rule)`, without looking at the others. */
export function isReached(rule: ProgramRule, indexed: IndexedNode, index: NodeIndex): boolean {
  if (rule.via.size > 0) return indexed.node.tags.some((tag) => rule.via.has(tag));
  return rule.dst.some((destination) => {
    switch (destination.kind) {
      case 'any':
        return true;
      case 'nodes':
        return (
          destination.keys.some((key) => indexed.keys.includes(key)) ||
          routedAddresses(indexed, destination.keys, index).length > 0
        );
      case 'self':
        return indexed.ownerId !== undefined;
      case 'internet':
        return indexed.isExitNode;
      case 'literal':
        return destination.literals.some((literal) => matchLiteral(literal, indexed) !== 'none');
    }
  });
}
