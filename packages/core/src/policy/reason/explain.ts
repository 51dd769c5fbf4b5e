/** Why a connection is let through, or which rules came nearest and what they lacked. */
import {
  type Addr,
  formatAddr,
  formatPrefix,
  isV4,
  prefixContains,
  prefixEquals,
} from '../../base/netip/index.ts';
import { unreachable } from '../../base/assert.ts';
import type { IndexedNode } from '../compile/node-index.ts';
import { hasSlot, slotsOf } from '../compile/node-set.ts';
import { meetsCondition, meetsPosture } from '../compile/posture.ts';
import { type Destination, Lowering, type ProgramRule } from '../compile/program.ts';
import { internetSet } from '../compile/ranges.ts';
import { matchLiteral, routedAddresses } from '../compile/reach.ts';
import { containsAddr } from '../compile/resolve.ts';
import type { Tailnet } from '../compile/tailnet.ts';
import type { WireCapMap } from '../compile/wire.ts';
import { formatProtocol } from '../file/protocol.ts';
import type { Selector } from '../file/selector.ts';
import { admitsPacket, formatOpening, openingOf, unionOpenings } from './opening.ts';
import { type RuleRef, ruleRefs } from './rule-refs.ts';
import { openRuleId } from './rule-tokens.ts';
import { nodeAdmits, type Packet } from './wire-check.ts';

/** Rules that nearly match shown at most. */
const nearestMax = 5;

export type Conjunct = 'source' | 'posture' | 'target' | 'via' | 'port';

export interface RuleMatch {
  readonly rule: RuleRef;
  /** The selector of `src` that names the source, and how. */
  readonly source: string;
  readonly target: string;
  readonly opens: string;
}

export interface NearMiss {
  readonly rule: RuleRef;
  readonly failed: readonly Conjunct[];
  /** One sentence for each failed condition. */
  readonly reasons: readonly string[];
}

export interface ExplainedAccess {
  readonly verdict: 'allowed' | 'denied';
  /** The machine that decides: the target's own, or the router in front of it. */
  readonly receiver: string | undefined;
  readonly matches: readonly RuleMatch[];
  /** Empty where the access is allowed. */
  readonly nearest: readonly NearMiss[];
  /** What WhoIs of the source says on the receiver, with the rules that say it. */
  readonly capabilities: WireCapMap;
  readonly capabilityRules: readonly RuleRef[];
  readonly notes: readonly string[];
}

/** Explains one packet. Both halves are answered: what the network lets through and what programs are told. */
export function explainAccess(tailnet: Tailnet, packet: Packet): ExplainedAccess {
  const receivers = receiversOf(tailnet, packet.target);
  const receiver =
    receivers.find(({ node }) => nodeAdmits(tailnet, node.id, packet)) ?? receivers[0];
  if (receiver === undefined) return unrouted(tailnet, packet.target);
  const judge = new RuleJudge(tailnet, packet, receiver);
  const { rules } = tailnet.program;
  const judged = (rules ?? [])
    .filter((rule) => rule.targets.length > 0)
    .map((rule) => judge.judge(rule));
  const matches = judged.flatMap((one) => ('opens' in one ? [one] : []));
  const isOpen = rules === undefined && nodeAdmits(tailnet, receiver.node.id, packet);
  const verdict = matches.length > 0 || isOpen ? 'allowed' : 'denied';
  const misses = judged.flatMap((one) => ('failed' in one ? [one] : []));
  const nearest = misses.sort((a, b) => distanceOf(a) - distanceOf(b)).slice(0, nearestMax);
  const capabilities = tailnet.capabilitiesOf(receiver.node.id, packet.source);
  return {
    verdict,
    receiver: nameOf(receiver),
    matches: isOpen ? [openMatch(tailnet)] : matches,
    nearest: verdict === 'allowed' ? [] : nearest,
    capabilities,
    capabilityRules: judge.capabilityRules(Object.keys(capabilities)),
    notes: notesOf(tailnet, packet, receiver, verdict, capabilities),
  };
}

/** How near a rule came: fewer failed conditions first, then those that are the easiest to mend. */
const weights: Readonly<Record<Conjunct, number>> = {
  port: 1,
  via: 2,
  posture: 3,
  source: 4,
  target: 5,
};

function distanceOf({ failed }: NearMiss): number {
  return failed.reduce((sum, conjunct) => sum + 100 + weights[conjunct], 0);
}

function openMatch({ program }: Tailnet): RuleMatch {
  const [rule = { id: openRuleId, line: 0, column: 0 }] = ruleRefs(program.file, [openRuleId]);
  const source = 'the file has neither acls nor grants, so everything is allowed';
  return { rule, source, target: '*', opens: '*' };
}

/** The owner of the address; else routers with an approved route to it; else exit nodes for public addresses. */
function receiversOf({ index }: Tailnet, target: Addr): readonly IndexedNode[] {
  const owner = index.ownerOf(target);
  if (owner !== undefined) return [owner];
  const among = (key: string): readonly IndexedNode[] =>
    slotsOf(index.set(key)).flatMap((slot) => index.at(slot) ?? []);
  const routers = among('router').filter(({ subnetRoutes }) =>
    subnetRoutes.some((route) => prefixContains(route, target)),
  );
  if (routers.length > 0) return routers;
  return internetSet.containsAddr(target) ? among('exit') : [];
}

function unrouted({ index }: Tailnet, target: Addr): ExplainedAccess {
  const notes = [`${formatAddr(target)} belongs to no machine and to no approved route`];
  for (const indexed of index.nodes()) {
    for (const route of indexed.node.advertisedRoutes) {
      const isApproved = indexed.node.approvedRoutes.some((other) => prefixEquals(route, other));
      if (isApproved || !prefixContains(route, target)) continue;
      notes.push(`${nameOf(indexed)} advertises ${formatPrefix(route)}, which is not approved`);
    }
  }
  return {
    verdict: 'denied',
    receiver: undefined,
    matches: [],
    nearest: [],
    capabilities: {},
    capabilityRules: [],
    notes,
  };
}

function notesOf(
  tailnet: Tailnet,
  packet: Packet,
  receiver: IndexedNode,
  verdict: ExplainedAccess['verdict'],
  capabilities: WireCapMap,
): readonly string[] {
  const notes: string[] = [];
  const source = tailnet.index.ownerOf(packet.source);
  if (source === undefined) notes.push(`${formatAddr(packet.source)} belongs to no machine`);
  if (!receiver.node.addresses.some(({ key }) => key === packet.target.key)) {
    notes.push(
      `${formatAddr(packet.target)} lies behind ${nameOf(receiver)}, whose filter decides`,
    );
  }
  if (Object.keys(capabilities).length > 0 && verdict === 'denied') {
    notes.push('capabilities are granted, but a program sees the caller only where a port is open');
  }
  return notes;
}

function nameOf({ node }: IndexedNode): string {
  return node.hostname === '' ? node.id : node.hostname;
}

class RuleJudge {
  readonly #tailnet: Tailnet;
  readonly #packet: Packet;
  readonly #receiver: IndexedNode;
  readonly #source: IndexedNode | undefined;
  readonly #lowering: Lowering;

  constructor(tailnet: Tailnet, packet: Packet, receiver: IndexedNode) {
    const { file, directory, services } = tailnet.program;
    this.#tailnet = tailnet;
    this.#packet = packet;
    this.#receiver = receiver;
    this.#source = tailnet.index.ownerOf(packet.source);
    this.#lowering = new Lowering(file, directory, services);
  }

  judge(rule: ProgramRule): RuleMatch | NearMiss {
    const failed = new Map<Conjunct, string>();
    const named = rule.rule.src.find((selector) => this.#names(selector));
    if (named === undefined) failed.set('source', this.#sourceReason(rule));
    else if (!this.#isSource(rule)) failed.set('posture', this.#postureReason(rule));
    const target = this.#target(rule, failed);
    const refs = ruleRefs(this.#tailnet.program.file, [rule.rule.id]);
    const [ref = { id: rule.rule.id, line: 0, column: 0 }] = refs;
    if (failed.size > 0 || target === undefined || named === undefined) {
      return { rule: ref, failed: [...failed.keys()], reasons: [...failed.values()] };
    }
    const source =
      named.text === this.#sourceName() ? named.text : `${named.text} names ${this.#sourceName()}`;
    return { rule: ref, source, target: target.name, opens: target.opens };
  }

  /** Rules that grant one of the capabilities to the source here. */
  capabilityRules(names: readonly string[]): readonly RuleRef[] {
    const ids = (this.#tailnet.program.rules ?? [])
      .filter(
        (rule) =>
          rule.via.size === 0 &&
          rule.rule.app.some(({ name }) => names.includes(name)) &&
          this.#isSource(rule) &&
          rule.dst.some((dst) => this.#reachesCapability(dst)),
      )
      .map(({ rule }) => rule.id);
    return ruleRefs(this.#tailnet.program.file, ids);
  }

  #sourceName(): string {
    const { program } = this.#tailnet;
    if (this.#source === undefined) return formatAddr(this.#packet.source);
    const owner = this.#source.ownerId;
    const login = owner === undefined ? undefined : program.directory.user(owner)?.login;
    return login === undefined ? nameOf(this.#source) : `${nameOf(this.#source)} of ${login}`;
  }

  #names(selector: Selector): boolean {
    const { index, resolver } = this.#tailnet;
    const resolved = resolver.resolve(this.#lowering.principals([selector], []));
    return containsAddr(resolved, this.#packet.source, index);
  }

  #isSource(rule: ProgramRule): boolean {
    const { index, resolver } = this.#tailnet;
    return containsAddr(resolver.resolve(rule.src), this.#packet.source, index);
  }

  #sourceReason(rule: ProgramRule): string {
    const texts = rule.rule.src.map(({ text }) => text);
    const isAboutPeople = rule.rule.src.every(
      ({ kind }) => kind === 'user' || kind === 'group' || kind === 'domain',
    );
    if (isAboutPeople && this.#source !== undefined && this.#source.node.tags.length > 0) {
      return `the source is tagged ${this.#source.node.tags.join(', ')}, so rules for people do not name it`;
    }
    return `src ${texts.join(', ')} does not name ${this.#sourceName()}`;
  }

  #postureReason(rule: ProgramRule): string {
    const { postures } = this.#tailnet.program.file;
    const attributes = this.#source?.node.postureAttributes ?? new Map();
    const reasons = rule.src.postures.flatMap((name) => {
      const posture = postures.get(name);
      if (posture === undefined || meetsPosture(posture, attributes)) return [];
      const condition = posture.conditions.find((one) => !meetsCondition(one, attributes));
      if (condition === undefined) return [];
      const actual = attributes.get(condition.key);
      const state = actual === undefined ? 'is not set' : `is ${String(actual)}`;
      return [`${name} asks for ${condition.text}: ${condition.key} ${state}`];
    });
    return reasons.join('; ');
  }

  /** The target of the rule that matches; else the reasons are added to `failed`. */
  #target(
    rule: ProgramRule,
    failed: Map<Conjunct, string>,
  ): { readonly name: string; readonly opens: string } | undefined {
    const { protocol, port } = this.#packet;
    const reached = rule.targets.filter(({ dst }) => dst.some((one) => this.#reaches(rule, one)));
    if (reached.length === 0) {
      if (rule.via.size > 0 && this.#namesTarget(rule)) {
        failed.set(
          'via',
          `it holds only through ${[...rule.via].join(', ')}, not ${nameOf(this.#receiver)}`,
        );
      } else {
        const texts = rule.rule.dst.map(({ text }) => text).join(', ');
        failed.set('target', `dst ${texts} does not name ${formatAddr(this.#packet.target)}`);
      }
    }
    const openings = (reached.length === 0 ? rule.targets : reached).flatMap(({ ports }) =>
      ports.map(openingOf),
    );
    const opening = unionOpenings(openings);
    if (!admitsPacket(opening, protocol, port)) {
      const asked = [1, 58].includes(protocol) ? 'icmp' : `${formatProtocol(protocol)}:${port}`;
      failed.set('port', `${asked} is not in ${formatOpening(opening)}`);
    }
    if (reached.length === 0) return undefined;
    return {
      name: rule.rule.dst.map(({ text }) => text).join(', '),
      opens: formatOpening(opening),
    };
  }

  #reaches(rule: ProgramRule, destination: Destination): boolean {
    const { index } = this.#tailnet;
    const { target } = this.#packet;
    const receiver = this.#receiver;
    const isOwn = receiver.node.addresses.some(({ key }) => key === target.key);
    if (rule.via.size > 0) return this.#reachesVia(rule, destination);
    switch (destination.kind) {
      case 'any':
        return true;
      case 'internet':
        return receiver.isExitNode && internetSet.containsAddr(target);
      case 'self':
        return isOwn && this.#isOwnersMachine();
      case 'nodes':
        return (
          (isOwn && destination.keys.some((key) => receiver.keys.includes(key))) ||
          routedAddresses(receiver, destination.keys, index).includes(formatAddr(target))
        );
      case 'literal':
        return destination.literals.some(
          (literal) =>
            literal.set.containsAddr(target) && matchLiteral(literal, receiver) !== 'none',
        );
      default:
        return unreachable(destination);
    }
  }

  /** Whether a rule with `via` is about the target at all, through whatever router. */
  #namesTarget({ dst }: ProgramRule): boolean {
    const { target } = this.#packet;
    return dst.some(
      (one) =>
        (one.kind === 'internet' && internetSet.containsAddr(target)) ||
        (one.kind === 'literal' && one.set.containsAddr(target)),
    );
  }

  #reachesVia(rule: ProgramRule, destination: Destination): boolean {
    const { target } = this.#packet;
    const { node, isExitNode, subnetRoutes } = this.#receiver;
    if (!node.tags.some((tag) => rule.via.has(tag))) return false;
    if (destination.kind === 'internet') return isExitNode && internetSet.containsAddr(target);
    if (destination.kind !== 'literal') return false;
    return destination.literals.some(
      ({ set }) =>
        set.containsAddr(target) && subnetRoutes.some((route) => set.overlapsPrefix(route)),
    );
  }

  #isOwnersMachine(): boolean {
    const { ownerId } = this.#receiver;
    if (ownerId === undefined || this.#source === undefined) return false;
    return hasSlot(this.#tailnet.index.set(`user:${ownerId}`), this.#source.slot);
  }

  #reachesCapability(destination: Destination): boolean {
    const receiver = this.#receiver;
    switch (destination.kind) {
      case 'any':
        return true;
      case 'nodes':
        return destination.keys.some((key) => receiver.keys.includes(key));
      case 'literal':
        return receiver.node.addresses.some(
          (addr) => isV4(addr) === isV4(this.#packet.source) && destination.set.containsAddr(addr),
        );
      case 'self':
        return this.#isOwnersMachine();
      case 'internet':
        return false;
      default:
        return unreachable(destination);
    }
  }
}
