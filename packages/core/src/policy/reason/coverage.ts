/** What each rule is good for: does it do anything, would anything be missed without it, does a test look at it. */
import { parsePorts, splitHostPorts } from '../file/port.ts';
import { parseProtocol } from '../file/protocol.ts';
import { isSameFamily, type SourceAtom, type TargetAtom } from './atoms.ts';
import { accessKey } from './normal-form.ts';
import { admitsPacket } from './opening.ts';
import type { Relation } from './relation.ts';
import { type RuleRef, ruleRefs } from './rule-refs.ts';
import { selectSources, selectTargets } from './selection.ts';

export interface RuleCoverage {
  readonly rule: RuleRef;
  /** It never applies: a side resolves to nothing, even to nothing imagined. */
  readonly isDead: boolean;
  /** All that it gives, other rules give too. */
  readonly isRedundant: boolean;
  /** Tests (by index) whose `accept` goes through this rule. */
  readonly acceptTests: readonly number[];
  /** Tests whose `deny` comes from its sources or goes to its targets: they guard its edge. */
  readonly denyTests: readonly number[];
}

export interface Coverage {
  readonly rules: readonly RuleCoverage[];
  /** Rules with an accept test, of all rules; 1 where there are no rules. */
  readonly acceptRatio: number;
  readonly denyRatio: number;
}

export function coverageOf(relation: Relation): Coverage {
  const { file } = relation.tailnet.program;
  const ids = [...(file.grants ?? []), ...(file.acls ?? []), ...file.ssh].map(({ id }) => id);
  const needs = neededRules(relation);
  const tested = testedRules(relation);
  const refs = ruleRefs(file, ids);
  const rules = refs.map((rule) => ({
    rule,
    isDead: !needs.alive.has(rule.id),
    isRedundant: needs.alive.has(rule.id) && !needs.needed.has(rule.id),
    acceptTests: [...(tested.accept.get(rule.id) ?? [])],
    denyTests: [...(tested.deny.get(rule.id) ?? [])],
  }));
  const share = (count: number): number => (rules.length === 0 ? 1 : count / rules.length);
  return {
    rules,
    acceptRatio: share(rules.filter(({ acceptTests }) => acceptTests.length > 0).length),
    denyRatio: share(rules.filter(({ denyTests }) => denyTests.length > 0).length),
  };
}

/** Rules that apply somewhere, and those without which something would be closed. */
function neededRules(relation: Relation): {
  readonly alive: ReadonlySet<string>;
  readonly needed: ReadonlySet<string>;
} {
  const alive = new Set<string>();
  const needed = new Set<string>();
  for (const source of relation.sources) {
    for (const target of relation.reachedFrom(source)) {
      if (source.isV4 !== target.isV4) continue;
      const [from, to] = [source.atoms[0], target.atoms[0]];
      if (from === undefined || to === undefined) continue;
      const ids = relation.rulesBetween(from, to);
      const whole = ids.length > 0 ? accessKey(relation.between(source, target)) : '';
      for (const id of ids) {
        alive.add(id);
        if (needed.has(id)) continue;
        if (accessKey(relation.without(id, source, target)) !== whole) needed.add(id);
      }
    }
  }
  return { alive, needed };
}

function testedRules(relation: Relation): {
  readonly accept: ReadonlyMap<string, ReadonlySet<number>>;
  readonly deny: ReadonlyMap<string, ReadonlySet<number>>;
} {
  const accept = new Map<string, Set<number>>();
  const deny = new Map<string, Set<number>>();
  const note = (map: Map<string, Set<number>>, id: string, test: number): void => {
    map.set(id, (map.get(id) ?? new Set()).add(test));
  };
  for (const test of relation.tailnet.program.file.tests) {
    const sources = selectSources(relation, test.src?.text ?? '');
    if (!sources.ok) continue;
    for (const [list, map] of [
      [test.accept, accept],
      [test.deny, deny],
    ] as const) {
      for (const { text } of list) {
        const asked = targetOfTest(relation, text, test.proto?.text ?? '');
        if (asked === undefined) continue;
        const rules =
          map === accept
            ? rulesThrough(relation, sources.value, asked)
            : rulesBeside(relation, sources.value, asked.targets);
        for (const id of rules) note(map, id, test.index);
      }
    }
  }
  return { accept, deny };
}

interface AskedTarget {
  readonly targets: readonly TargetAtom[];
  readonly protocols: readonly number[];
  readonly port: number;
}

function targetOfTest(relation: Relation, text: string, proto: string): AskedTarget | undefined {
  const split = splitHostPorts(text);
  const ports = split.ok ? parsePorts(split.value.portsText) : split;
  const protocol = proto === '' ? undefined : parseProtocol(proto);
  if (!split.ok || !ports.ok || protocol?.ok === false) return undefined;
  const targets = selectTargets(relation, split.value.host);
  if (!targets.ok) return undefined;
  const protocols = protocol === undefined ? [6, 17] : [protocol.value];
  return { targets: targets.value, protocols, port: ports.value[0]?.first ?? 0 };
}

function rulesThrough(
  relation: Relation,
  sources: readonly SourceAtom[],
  { targets, protocols, port }: AskedTarget,
): ReadonlySet<string> {
  const rules = new Set<string>();
  for (const source of sources) {
    for (const target of targets) {
      const [from, to] = [relation.sourceClass(source), relation.targetClass(target)];
      if (from === undefined || to === undefined || !isSameFamily(source, target)) continue;
      for (const id of relation.rulesBetween(source, target)) {
        const { opening } = relation.partOf(id, from, to);
        if (protocols.some((protocol) => admitsPacket(opening, protocol, port))) rules.add(id);
      }
    }
  }
  return rules;
}

/** Rules that name one of the two sides. */
function rulesBeside(
  relation: Relation,
  sources: readonly SourceAtom[],
  targets: readonly TargetAtom[],
): ReadonlySet<string> {
  const rules = new Set<string>();
  for (const id of sources.flatMap((source) => relation.rulesFrom(source))) rules.add(id);
  for (const id of targets.flatMap((target) => relation.rulesTo(target))) rules.add(id);
  return rules;
}
