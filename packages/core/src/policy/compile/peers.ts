/** Which nodes have to know of each other: those between which some rule lets a connection through. */
import type { IpSet } from '../../base/netip/index.ts';
import { present } from '../../base/assert.ts';
import type { IndexedNode, NodeIndex } from './node-index.ts';
import {
  emptyNodeSet,
  hasSlot,
  type NodeSet,
  nodeSetOf,
  slotsOf,
  unionOf,
  withSlot,
} from './node-set.ts';
import type { ProgramRule } from './program.ts';
import { matchLiteral } from './reach.ts';
import { nodesAmong, type Resolved } from './resolve.ts';
import type { Tailnet } from './tailnet.ts';

/**
 * Ids of the nodes that a node may reach or be reached by, without itself. Rules that give only capabilities do
 * not make peers; a router is a peer of whoever may reach, or be reached from, what lies behind it.
 */
export function peersOf(tailnet: Tailnet, nodeId: string): readonly string[] {
  const indexed = tailnet.index.byId(nodeId);
  if (indexed === undefined) return [];
  const { rules } = tailnet.program;
  const both =
    rules === undefined
      ? tailnet.index.set('every')
      : unionOf([incoming(tailnet, nodeId), outgoing(tailnet, rules, indexed)]);
  return slotsOf(withSlot(both, indexed.slot, false)).map(
    (slot) => present(tailnet.index.at(slot), 'peer').node.id,
  );
}

function incoming(tailnet: Tailnet, nodeId: string): NodeSet {
  const { index } = tailnet;
  const sets: NodeSet[] = [];
  for (const { wire, sources } of tailnet.rulesOf(nodeId)) {
    if (wire.DstPorts === undefined) continue;
    if ('principals' in sources) sets.push(...sourceNodes(sources, index));
    else sets.push(nodeSetOf(index.addressedIn(sources), index.capacity));
  }
  return unionOf(sets);
}

function sourceNodes(resolved: Resolved, index: NodeIndex): readonly NodeSet[] {
  const { principals, literals } = resolved;
  if (principals.hasDangerAll) return [index.set('every')];
  return [
    nodesAmong(resolved, index),
    nodeSetOf(index.addressedIn(literals), index.capacity),
    behind(literals, index),
  ];
}

/** Routers of some of these addresses. */
function behind(literals: IpSet, index: NodeIndex): NodeSet {
  if (literals.isEmpty) return emptyNodeSet;
  const slots = slotsOf(index.set('router')).filter((slot) =>
    (index.at(slot)?.subnetRoutes ?? []).some((route) => literals.overlapsPrefix(route)),
  );
  return nodeSetOf(slots, index.capacity);
}

function outgoing(tailnet: Tailnet, rules: readonly ProgramRule[], indexed: IndexedNode): NodeSet {
  const sets: NodeSet[] = [];
  rules.forEach((rule, i) => {
    if (rule.targets.length === 0 || !isSource(tailnet, rule, indexed)) return;
    sets.push(
      rule.via.size > 0 ? viaReceivers(tailnet, rule) : receivers(tailnet, rule, i, indexed),
    );
  });
  return unionOf(sets);
}

function isSource(tailnet: Tailnet, rule: ProgramRule, indexed: IndexedNode): boolean {
  const resolved = tailnet.resolver.resolve(rule.src);
  if (resolved.principals.hasDangerAll) return true;
  if (hasSlot(nodesAmong(resolved, tailnet.index), indexed.slot)) return true;
  const { literals } = resolved;
  if (literals.isEmpty) return false;
  return (
    indexed.node.addresses.some((addr) => literals.containsAddr(addr)) ||
    indexed.subnetRoutes.some((route) => literals.overlapsPrefix(route))
  );
}

/** Under `autogroup:self` only machines of the same owner; otherwise everyone whom the rule reaches. */
function receivers(tailnet: Tailnet, rule: ProgramRule, i: number, indexed: IndexedNode): NodeSet {
  if (!rule.hasSelf) return tailnet.reachOfRule(i);
  const own =
    indexed.ownerId === undefined ? emptyNodeSet : tailnet.index.set(`user:${indexed.ownerId}`);
  const others = rule.dst.filter((destination) => destination.kind !== 'self');
  if (others.length === 0) return own;
  const reached = slotsOf(tailnet.reachOfRule(i)).filter((slot) => {
    const node = present(tailnet.index.at(slot), 'reached node');
    return others.some((destination) => {
      if (destination.kind === 'nodes')
        return destination.keys.some((key) => node.keys.includes(key));
      if (destination.kind === 'literal') {
        return destination.literals.some((literal) => matchLiteral(literal, node) !== 'none');
      }
      return destination.kind === 'any' || (destination.kind === 'internet' && node.isExitNode);
    });
  });
  return unionOf([own, nodeSetOf(reached, tailnet.index.capacity)]);
}

/** Routers with the tag that are told the rule at all. */
function viaReceivers(tailnet: Tailnet, rule: ProgramRule): NodeSet {
  const slots = slotsOf(tailnet.index.union([...rule.via])).filter((slot) => {
    const node = present(tailnet.index.at(slot), 'router');
    return rule.dst.some((destination) => {
      if (destination.kind === 'internet') return node.isExitNode;
      return (
        destination.kind === 'literal' &&
        node.subnetRoutes.some((route) => destination.set.overlapsPrefix(route))
      );
    });
  });
  return nodeSetOf(slots, tailnet.index.capacity);
}
