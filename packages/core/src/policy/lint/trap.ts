/** Traps: files that are valid and probably do not mean what they say. */
import { goQuote } from '../../base/quote.ts';
import type { Inventory } from '../compile/inventory.ts';
import { compileTailnet, type Tailnet } from '../compile/tailnet.ts';
import { isEmptySet, overlapsSet } from '../compile/node-set.ts';
import type { Destination, Principals, ProgramRule } from '../compile/program.ts';
import { type Finding, Findings } from '../file/finding.ts';
import { findingsMax } from '../file/limits.ts';
import type { NetworkRule, PolicyFile } from '../file/model.ts';
import { atomsOf, Relation, superfluousRules, worldOf } from '../reason/index.ts';
import { redundantRules } from './redundant.ts';

/** Traps that show without knowing who and what is in the network. */
export function fileTraps(file: PolicyFile): readonly Finding[] {
  const findings = new Findings(findingsMax);
  if (file.acls === undefined && file.grants === undefined) {
    const why = 'with neither acls nor grants every machine may reach every other one';
    findings.warning(
      'fail_open',
      { pointer: '', line: 1, column: 1 },
      `${why}; write "grants": [] to deny`,
    );
  }
  for (const rule of rulesOf(file)) {
    if (rule.dst.length === 0) {
      const why = 'the rule has no dst and so no effect';
      findings.warning('grant_without_destination', rule.at, why);
    } else if (rule.src.length === 0) {
      findings.warning('dead_rule', rule.at, 'the rule has no src and so no effect');
    }
    if (rule.via.length > 0 && rule.app.length > 0) {
      findings.warning('bad_via', rule.at, 'capabilities of a grant with via are not delivered');
    }
    for (const selector of rule.src) {
      if (selector.kind === 'autogroup' && selector.name === 'danger-all') {
        const why = 'autogroup:danger-all is every address on earth';
        findings.warning('fail_open', selector.at, why);
      }
    }
  }
  for (const { tag, owners, at } of file.tagOwners.values()) {
    if (owners.some((owner) => owner.kind === 'tag' && owner.name === tag)) {
      findings.note('bad_name', at, `${goQuote(tag)} owns itself: machines with it can make more`);
    }
  }
  return findings.list;
}

function rulesOf(file: PolicyFile): readonly NetworkRule[] {
  return [...(file.grants ?? []), ...(file.acls ?? [])];
}

/** Traps that show only with the people and machines at hand. */
export function tailnetTraps(tailnet: Tailnet, inventory: Inventory): readonly Finding[] {
  const findings = new Findings(findingsMax);
  const rules = tailnet.program.rules ?? [];
  for (const rule of rules) {
    const dead = deadSide(tailnet, rule);
    if (dead !== undefined) {
      findings.warning(
        'dead_rule',
        rule.rule.at,
        `the ${dead} of the rule names nothing that exists`,
      );
    } else if (needsNetwork(tailnet, rule, rules)) {
      const why =
        'no rule opens a port between these src and dst, so that the capability cannot be used';
      findings.warning('capability_without_network', rule.rule.at, why);
    }
  }
  const inOne = redundantRules(tailnet);
  for (const { rule, by } of inOne) {
    findings.note(
      'redundant_rule',
      rule.at,
      `everything that the rule allows is allowed by ${by.id}`,
    );
  }
  const known = new Set(inOne.map(({ rule }) => rule.id));
  for (const rule of redundantTogether(tailnet.program.file, inventory, known)) {
    const why = 'everything that the rule allows is allowed by the other rules together';
    findings.note('redundant_rule', rule.at, why);
  }
  return findings.list;
}

/** Above it the rules are compared one with another only. */
const provenRulesMax = 500;
const provenNodesMax = 500;

/**
 * Rules that several others contain together, proven over the machines at hand and one for every kind that the file
 * could mean. Rules with capabilities are never redundant: their values add up.
 */
function redundantTogether(
  file: PolicyFile,
  inventory: Inventory,
  known: ReadonlySet<string>,
): readonly NetworkRule[] {
  const rules = rulesOf(file);
  if (rules.length < 3 || rules.length > provenRulesMax) return [];
  if (inventory.nodes.length > provenNodesMax) return [];
  const mayGo = rules.filter(
    ({ id, app, via, targets }) =>
      !known.has(id) && app.length === 0 && via.length === 0 && targets.length > 0,
  );
  const world = worldOf(inventory, [file]);
  if (!world.isComplete) return [];
  const tailnet = compileTailnet(file, world.inventory);
  const relation = new Relation(tailnet, atomsOf(world, [tailnet]));
  const ids = new Set(
    superfluousRules(
      relation,
      mayGo.map(({ id }) => id),
      known,
    ),
  );
  return mayGo.filter(({ id }) => ids.has(id));
}

function deadSide(tailnet: Tailnet, rule: ProgramRule): 'src' | 'dst' | undefined {
  if (namesNothing(tailnet, rule.src)) return 'src';
  const isDead = rule.dst.every((destination) => isNowhere(tailnet, destination));
  return isDead ? 'dst' : undefined;
}

function namesNothing(tailnet: Tailnet, principals: Principals): boolean {
  const { hasAny, hasDangerAll, literals } = principals;
  if (hasAny || hasDangerAll || literals.length > 0) return false;
  return isEmptySet(tailnet.resolver.nodesOf(principals));
}

function isNowhere(tailnet: Tailnet, destination: Destination): boolean {
  if (destination.kind === 'nodes') return isEmptySet(tailnet.index.union(destination.keys));
  return destination.kind === 'literal' && destination.literals.length === 0;
}

/** Whether a grant of capabilities has no network rule that meets it on both sides. */
function needsNetwork(tailnet: Tailnet, rule: ProgramRule, rules: readonly ProgramRule[]): boolean {
  if (rule.capMap === undefined || rule.targets.length > 0) return false;
  return !rules.some(
    (other) =>
      other.targets.length > 0 &&
      meetPrincipals(tailnet, rule.src, other.src) &&
      rule.dst.some((a) => other.dst.some((b) => meetDestinations(tailnet, a, b))),
  );
}

function meetPrincipals(tailnet: Tailnet, a: Principals, b: Principals): boolean {
  if (a.hasDangerAll || b.hasDangerAll) return true;
  if (overlapsSet(tailnet.resolver.nodesOf(a), tailnet.resolver.nodesOf(b))) return true;
  const [x, y] = [tailnet.resolver.resolve(a), tailnet.resolver.resolve(b)];
  return (
    x.literals.overlaps(y.literals) ||
    tailnet.index.addressedIn(x.literals).some((slot) => isIn(tailnet, b, slot)) ||
    tailnet.index.addressedIn(y.literals).some((slot) => isIn(tailnet, a, slot))
  );
}

function isIn(tailnet: Tailnet, principals: Principals, slot: number): boolean {
  return (
    principals.keys.some((key) => tailnet.index.at(slot)?.keys.includes(key)) || principals.hasAny
  );
}

function meetDestinations(tailnet: Tailnet, a: Destination, b: Destination): boolean {
  if (a.kind === 'any' || b.kind === 'any') return true;
  if (a.kind === 'self' || b.kind === 'self')
    return a.kind === b.kind || isPeople(a) || isPeople(b);
  if (a.kind === 'internet' || b.kind === 'internet') return a.kind === b.kind;
  const { index } = tailnet;
  if (a.kind === 'nodes' && b.kind === 'nodes') {
    return overlapsSet(index.union(a.keys), index.union(b.keys));
  }
  if (a.kind === 'literal' && b.kind === 'literal') return a.set.overlaps(b.set);
  const [literal, nodes] = a.kind === 'literal' ? [a, b] : [b, a];
  if (literal.kind !== 'literal' || nodes.kind !== 'nodes') return false;
  return index
    .addressedIn(literal.set)
    .some((slot) => nodes.keys.some((key) => index.at(slot)?.keys.includes(key)));
}

function isPeople(destination: Destination): boolean {
  return destination.kind === 'nodes' && destination.keys.some((key) => !key.startsWith('tag'));
}
