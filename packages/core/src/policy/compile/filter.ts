/** The packet filter of one node: the rules that reach it, reduced to what concerns it. */
import {
  type Addr,
  formatAddr,
  formatPrefix,
  ipSetOfAddrs,
  type IpSet,
  type Prefix,
  prefixesOverlap,
  prefixOfAddr,
} from '../../base/netip/index.ts';
import { present } from '../../base/assert.ts';
import type { IndexedNode, NodeIndex } from './node-index.ts';
import { hasSlot, intersectionOf, slotsOf } from './node-set.ts';
import type {
  Destination,
  Principals,
  Program,
  ProgramPorts,
  ProgramRule,
  ProgramTarget,
} from './program.ts';
import { internetTexts } from './ranges.ts';
import { matchLiteral, routedAddresses } from './reach.ts';
import { containsAddr, nodesAmong, type Resolved, type Resolver } from './resolve.ts';
import type { WireCapGrant, WireFilterRule, WireNetPortRange } from './wire.ts';

/** A rule on the wire and who its sources are, for questions about capabilities. */
export interface NodeRule {
  readonly wire: WireFilterRule;
  readonly sources: Resolved | IpSet;
  /** The first rule of the file behind it; undefined for the rule that opens everything. */
  readonly rule: ProgramRule | undefined;
}

export interface FilterContext {
  readonly program: Program;
  readonly index: NodeIndex;
  readonly resolver: Resolver;
}

/** The sources of the one rule of a file with neither `acls` nor `grants`: as `*` of a rule. */
const everyone: Principals = {
  key: 'everyone',
  keys: [],
  literals: [],
  hasAny: true,
  hasDangerAll: false,
  postures: [],
};

function allowAll(resolver: Resolver): NodeRule {
  const sources = resolver.resolve(everyone);
  const dstPorts = [{ IP: '*', Ports: { First: 0, Last: 65_535 } }];
  return { wire: { SrcIPs: sources.texts, DstPorts: dstPorts }, sources, rule: undefined };
}

interface Sources {
  readonly texts: readonly string[];
  readonly content: number;
  readonly who: Resolved | IpSet;
}

/** Rules with the same sources and protocol become one, in the place of the first. */
class FilterBuilder {
  readonly rules: NodeRule[] = [];
  readonly #merged = new Map<number, WireNetPortRange[]>();

  addPorts(
    rule: ProgramRule,
    sources: Sources,
    { protocols }: ProgramPorts,
    dstPorts: readonly WireNetPortRange[],
  ): void {
    if (sources.texts.length === 0 || dstPorts.length === 0) return;
    // Protocols are below 256, so that the two numbers together are one.
    const key = sources.content * 256 + (protocols?.[0] ?? 0);
    const merged = this.#merged.get(key);
    if (merged !== undefined) {
      for (const range of dstPorts) merged.push(range);
      return;
    }
    const list = [...dstPorts];
    this.#merged.set(key, list);
    const base = { SrcIPs: sources.texts, DstPorts: list };
    const wire = protocols === undefined ? base : { ...base, IPProto: protocols };
    this.rules.push({ wire, sources: sources.who, rule });
  }

  addCapabilities(
    rule: ProgramRule,
    sources: Omit<Sources, 'content'>,
    grants: readonly WireCapGrant[],
  ): void {
    if (grants.length === 0) return;
    const wire = { SrcIPs: sources.texts, CapGrant: grants };
    this.rules.push({ wire, sources: sources.who, rule });
  }
}

/**
 * The rules of one node. `reachedBy` are the rules of the program that reach it, ascending; those with companion
 * capabilities are looked at in any case, since they answer to their sources.
 */
export function compileFilter(
  context: FilterContext,
  indexed: IndexedNode,
  reachedBy: readonly number[],
): readonly NodeRule[] {
  const { rules, companionRules } = context.program;
  if (rules === undefined) return [allowAll(context.resolver)];
  const builder = new FilterBuilder();
  for (const i of reachedBy) addRule(builder, context, present(rules[i], 'rule'), indexed);
  for (const rule of companionRules) addCompanions(builder, context, rule, indexed);
  return builder.rules;
}

function addRule(
  builder: FilterBuilder,
  context: FilterContext,
  rule: ProgramRule,
  indexed: IndexedNode,
): void {
  const resolved = context.resolver.resolve(rule.src);
  const sources = { ...resolved, who: resolved };
  for (const target of rule.targets) addTarget(builder, context, rule, target, sources, indexed);
  const { capMap } = rule;
  if (capMap === undefined || rule.via.size > 0) return;
  const grants = rule.dst.flatMap((destination) => {
    if (destination.kind === 'self') return [];
    const dsts = capabilityDsts(destination, indexed);
    return dsts.length === 0 ? [] : [{ Dsts: dsts, CapMap: capMap }];
  });
  builder.addCapabilities(rule, { texts: resolved.texts, who: resolved }, grants);
  const own = rule.hasSelf ? ownSources(context, resolved, indexed) : undefined;
  if (own !== undefined) {
    builder.addCapabilities(rule, own, [{ Dsts: ownPrefixes(indexed), CapMap: capMap }]);
  }
}

function addTarget(
  builder: FilterBuilder,
  context: FilterContext,
  rule: ProgramRule,
  target: ProgramTarget,
  sources: Sources & { readonly who: Resolved },
  indexed: IndexedNode,
): void {
  const others = target.dst.filter((destination) => destination.kind !== 'self');
  const texts = new Set(
    others.flatMap((destination) =>
      rule.via.size > 0
        ? viaTexts(destination, indexed)
        : destinationTexts(destination, indexed, context.index),
    ),
  );
  const hasSelf = others.length < target.dst.length && rule.via.size === 0;
  const own = hasSelf ? ownSources(context, sources.who, indexed) : undefined;
  for (const ports of target.ports) {
    builder.addPorts(rule, sources, ports, netPortRanges(texts, ports));
    if (own !== undefined) builder.addPorts(rule, own, ports, netPortRanges(indexed.texts, ports));
  }
}

function netPortRanges(
  texts: Iterable<string>,
  { ports }: ProgramPorts,
): readonly WireNetPortRange[] {
  const ranges: WireNetPortRange[] = [];
  for (const IP of texts) for (const Ports of ports) ranges.push({ IP, Ports });
  return ranges;
}

/** What of a destination a node has to let in, as the wire writes it. */
function destinationTexts(
  destination: Destination,
  indexed: IndexedNode,
  index: NodeIndex,
): readonly string[] {
  switch (destination.kind) {
    case 'any':
      return ['*'];
    case 'nodes': {
      const isIn = destination.keys.some((key) => indexed.keys.includes(key));
      const routed = routedAddresses(indexed, destination.keys, index);
      return isIn ? [...indexed.texts, ...routed] : routed;
    }
    case 'internet':
      return indexed.isExitNode ? internetTexts : [];
    case 'literal':
      return destination.literals.flatMap((literal) =>
        matchLiteral(literal, indexed) === 'none' ? [] : [literal.text],
      );
    case 'self':
      return [];
  }
}

/** Through a named router only what it routes, through a named exit node the internet. */
function viaTexts(destination: Destination, indexed: IndexedNode): readonly string[] {
  if (destination.kind === 'internet') return indexed.isExitNode ? internetTexts : [];
  if (destination.kind !== 'literal') return [];
  return destination.literals.flatMap(({ text, set }) =>
    indexed.subnetRoutes.some((route) => set.overlapsPrefix(route)) ? [text] : [],
  );
}

/** Destinations of a capability: the node's own addresses, or a whole prefix that it routes. */
function capabilityDsts(destination: Destination, indexed: IndexedNode): readonly string[] {
  switch (destination.kind) {
    case 'any':
      return ownPrefixes(indexed);
    case 'nodes':
      return destination.keys.some((key) => indexed.keys.includes(key)) ? ownPrefixes(indexed) : [];
    case 'literal': {
      const prefixes = destination.literals.flatMap((literal) => literal.prefixes);
      return [
        ...new Set([...ownPrefixesIn(destination.set, indexed), ...routed(prefixes, indexed)]),
      ];
    }
    case 'internet':
    case 'self':
      return [];
  }
}

/** Prefixes of which the node routes some part, whole. */
function routed(prefixes: readonly Prefix[], indexed: IndexedNode): readonly string[] {
  return prefixes
    .filter((prefix) => indexed.subnetRoutes.some((route) => prefixesOverlap(route, prefix)))
    .map((prefix) => formatPrefix(prefix));
}

function ownPrefixes(indexed: IndexedNode): readonly string[] {
  return indexed.node.addresses.map((addr) => formatPrefix(prefixOfAddr(addr)));
}

function ownPrefixesIn(set: IpSet, indexed: IndexedNode): readonly string[] {
  return indexed.node.addresses
    .filter((addr) => set.containsAddr(addr))
    .map((addr) => formatPrefix(prefixOfAddr(addr)));
}

/** Machines of the node's own user among the sources: who may reach it under `autogroup:self`. */
function ownSources(
  { index, resolver }: FilterContext,
  resolved: Resolved,
  indexed: IndexedNode,
): Sources | undefined {
  if (indexed.ownerId === undefined) return undefined;
  const mine = intersectionOf(index.set(`user:${indexed.ownerId}`), nodesAmong(resolved, index));
  return sourcesOfSlots(slotsOf(mine), index, resolver);
}

function sourcesOfSlots(
  slots: readonly number[],
  index: NodeIndex,
  resolver: Resolver,
): Sources | undefined {
  if (slots.length === 0) return undefined;
  const addrs = slots.flatMap((slot) => present(index.at(slot), 'own node').node.addresses);
  const texts = addrs.map((addr) => formatAddr(addr));
  return { texts, content: resolver.contentOf(texts), who: ipSetOfAddrs(addrs) };
}

/** The reversed rule: sources of the grant learn who serves them. */
function addCompanions(
  builder: FilterBuilder,
  context: FilterContext,
  rule: ProgramRule,
  indexed: IndexedNode,
): void {
  const resolved = context.resolver.resolve(rule.src);
  const dsts = hasSlot(nodesAmong(resolved, context.index), indexed.slot)
    ? ownPrefixes(indexed)
    : companionDsts(resolved, indexed);
  if (dsts.length === 0) return;
  const reversed = context.resolver.resolve(rule.reversed);
  const own = rule.hasSelf ? ownSources(context, resolved, indexed) : undefined;
  for (const companion of rule.companions) {
    const grants = [{ Dsts: dsts, CapMap: { [companion]: null } }];
    if (reversed.texts.length > 0) {
      builder.addCapabilities(rule, { texts: reversed.texts, who: reversed }, grants);
    }
    if (own !== undefined) builder.addCapabilities(rule, own, grants);
  }
}

function companionDsts(
  { literals, principals }: Resolved,
  indexed: IndexedNode,
): readonly string[] {
  if (literals.isEmpty) return [];
  const prefixes =
    principals.postures.length > 0
      ? literals.toPrefixes()
      : principals.literals.flatMap((literal) => literal.prefixes);
  return [...new Set([...ownPrefixesIn(literals, indexed), ...routed(prefixes, indexed)])];
}

export function sourcesContain(rule: NodeRule, addr: Addr, index: NodeIndex): boolean {
  return 'principals' in rule.sources
    ? containsAddr(rule.sources, addr, index)
    : rule.sources.containsAddr(addr);
}
