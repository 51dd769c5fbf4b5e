/** Rules that one other rule contains whole. Containment in the union of several is found by `policy/reason`. */
import type { NetworkRule } from '../file/model.ts';
import { defaultProtocols } from '../file/protocol.ts';
import { differenceOf, isEmptySet } from '../compile/node-set.ts';
import type { Destination, Principals, ProgramPorts, ProgramRule } from '../compile/program.ts';
import { internetSet, tailnetSet } from '../compile/ranges.ts';
import type { Tailnet } from '../compile/tailnet.ts';

/** Above it the comparison of every rule with every other is left out. */
const comparedRulesMax = 2_000;

export interface Redundant {
  readonly rule: NetworkRule;
  readonly by: NetworkRule;
}

/** Of two equal rules the later one is redundant. Rules with capabilities never are: their values add up. */
export function redundantRules(tailnet: Tailnet): readonly Redundant[] {
  const rules = (tailnet.program.rules ?? []).filter(({ targets }) => targets.length > 0);
  if (rules.length > comparedRulesMax) return [];
  return rules.flatMap((rule, i) => {
    if (rule.capMap !== undefined) return [];
    const by = rules.find(
      (other, j) =>
        i !== j && covers(tailnet, other, rule) && (j < i || !covers(tailnet, rule, other)),
    );
    return by === undefined ? [] : [{ rule: rule.rule, by: by.rule }];
  });
}

function covers(tailnet: Tailnet, outer: ProgramRule, inner: ProgramRule): boolean {
  if (outer.via.size > 0 || inner.via.size > 0) return false;
  if (!coversPrincipals(tailnet, outer.src, inner.src)) return false;
  return inner.targets.every((target) =>
    target.dst.every((dst) =>
      target.ports.every((ports) =>
        outer.targets.some(
          (other) =>
            other.dst.some((wide) => coversDestination(tailnet, wide, dst)) &&
            coversPorts(other.ports, ports),
        ),
      ),
    ),
  );
}

function coversPrincipals(tailnet: Tailnet, outer: Principals, inner: Principals): boolean {
  if (outer.postures.length > 0 && outer.postures.join() !== inner.postures.join()) return false;
  if (outer.hasDangerAll) return true;
  if (inner.hasDangerAll || (inner.hasAny && !outer.hasAny)) return false;
  const { resolver } = tailnet;
  const [wide, narrow] = [resolver.nodesOf(outer), resolver.nodesOf(inner)];
  // A selector without machines yet is not contained in anything: tomorrow it may have some.
  const isKnown =
    outer.hasAny || inner.keys.every((key) => outer.keys.includes(key) || has(tailnet, key));
  if (!isKnown || !isEmptySet(differenceOf(narrow, wide))) return false;
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
  return isKnown && isEmptySet(differenceOf(index.union(inner.keys), index.union(outer.keys)));
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
