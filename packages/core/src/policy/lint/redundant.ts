/** Rules that one other rule contains whole, named with it. What several contain together, `policy/reason` proves. */
import type { NetworkRule } from '../file/model.ts';
import { defaultProtocols } from '../file/protocol.ts';
import { coversSet, isEmptySet, type NodeSet } from '../compile/node-set.ts';
import type { Destination, Principals, ProgramPorts, ProgramRule } from '../compile/program.ts';
import { internetSet, tailnetSet } from '../compile/ranges.ts';
import { nodesAmong } from '../compile/resolve.ts';
import type { Tailnet } from '../compile/tailnet.ts';

/** Above it the comparison of every rule with every other is left out. */
const comparedRulesMax = 2_000;

export interface Redundant {
  readonly rule: NetworkRule;
  readonly by: NetworkRule;
}

/** A rule with what comparing it with all the others needs. */
interface Candidate {
  readonly rule: ProgramRule;
  readonly nodes: NodeSet;
  readonly reach: NodeSet;
}

/** Of two equal rules the later one is redundant. Rules with capabilities never are: their values add up. */
export function redundantRules(tailnet: Tailnet): readonly Redundant[] {
  const candidates: Candidate[] = (tailnet.program.rules ?? []).flatMap((rule, i) => {
    if (rule.targets.length === 0 || rule.via.size > 0) return [];
    const nodes = nodesAmong(tailnet.resolver.resolve(rule.src), tailnet.index);
    return [{ rule, nodes, reach: tailnet.reachOfRule(i) }];
  });
  if (candidates.length > comparedRulesMax) return [];
  return candidates.flatMap((inner, i) => {
    if (inner.rule.capMap !== undefined) return [];
    const by = candidates.find(
      (outer, j) =>
        i !== j && covers(tailnet, outer, inner) && (j < i || !covers(tailnet, inner, outer)),
    );
    return by === undefined ? [] : [{ rule: inner.rule.rule, by: by.rule.rule }];
  });
}

/** The cheap conditions stand first: almost every pair fails one of them. */
function covers(tailnet: Tailnet, outer: Candidate, inner: Candidate): boolean {
  return (
    coversSet(outer.reach, inner.reach) &&
    coversSet(outer.nodes, inner.nodes) &&
    coversTargets(tailnet, outer.rule, inner.rule) &&
    coversPrincipals(tailnet, outer.rule.src, inner.rule.src)
  );
}

function coversTargets(tailnet: Tailnet, outer: ProgramRule, inner: ProgramRule): boolean {
  return inner.targets.every((target) =>
    target.ports.every((ports) => {
      const opening = outer.targets.filter((other) => coversPorts(other.ports, ports));
      return target.dst.every((dst) =>
        opening.some((other) => other.dst.some((wide) => coversDestination(tailnet, wide, dst))),
      );
    }),
  );
}

/** Beyond the machines of today, which `covers` has compared. */
function coversPrincipals(tailnet: Tailnet, outer: Principals, inner: Principals): boolean {
  if (outer.postures.length > 0 && outer.postures.join() !== inner.postures.join()) return false;
  if (outer.hasDangerAll) return true;
  if (inner.hasDangerAll || (inner.hasAny && !outer.hasAny)) return false;
  // A selector without machines yet is not contained in anything: tomorrow it may have some.
  const isKnown =
    outer.hasAny || inner.keys.every((key) => outer.keys.includes(key) || has(tailnet, key));
  if (!isKnown) return false;
  return inner.literals.every(
    ({ set }) =>
      (outer.hasAny && tailnetSet.containsSet(set)) ||
      outer.literals.some((literal) => literal.set.containsSet(set)),
  );
}

function has(tailnet: Tailnet, key: string): boolean {
  return !isEmptySet(tailnet.index.set(key));
}

function coversDestination(tailnet: Tailnet, outer: Destination, inner: Destination): boolean {
  if (outer.kind === 'any') return inner.kind !== 'self';
  if (outer.kind === 'self' || inner.kind === 'self') return outer.kind === inner.kind;
  if (inner.kind === 'any') return false;
  if (outer.kind === 'internet') {
    return (
      inner.kind === 'internet' || (inner.kind === 'literal' && internetSet.containsSet(inner.set))
    );
  }
  if (outer.kind === 'literal') return inner.kind === 'literal' && outer.set.containsSet(inner.set);
  if (inner.kind !== 'nodes') return false;
  const isKnown = inner.keys.every((key) => outer.keys.includes(key) || has(tailnet, key));
  const { index } = tailnet;
  return isKnown && coversSet(index.union(outer.keys), index.union(inner.keys));
}

/** Whether one entry of `outer` opens all ports of `inner`. */
function coversPorts(outer: readonly ProgramPorts[], inner: ProgramPorts): boolean {
  const wanted = inner.protocols ?? defaultProtocols;
  return inner.ports.every((port) =>
    outer.some((ports) => {
      const opened = ports.protocols ?? defaultProtocols;
      return (
        wanted.every((protocol) => opened.includes(protocol)) &&
        ports.ports.some(({ First, Last }) => First <= port.First && port.Last <= Last)
      );
    }),
  );
}
