/** Machines and names that the candidate leaves without meaning. */
import type { PolicyFile } from '../file/index.ts';
import { coverageOf, formatRuleRef } from '../reason/index.ts';
import type { ChangeContext } from './context.ts';
import { type ChangeFinding, placeOf, placeOfRule } from './finding.ts';

export function orphanFindings({
  before,
  after,
  comparison,
  request,
}: ChangeContext): readonly ChangeFinding[] {
  const findings: ChangeFinding[] = [];
  for (const tag of liveTags(request.inventory.nodes)) {
    const owner = before.tagOwners.get(tag);
    if (after.tagOwners.has(tag) || owner === undefined) continue;
    const machines = request.inventory.nodes.filter((node) => node.tags.includes(tag));
    const message = `${tag} has no owner any more, but ${machines.map(({ hostname }) => hostname).join(', ')} has it`;
    findings.push({
      code: 'orphan',
      severity: 'hold',
      message,
      at: placeOf('current', owner.at),
      witness: undefined,
    });
  }
  for (const name of emptiedGroups(before, after)) {
    const group = after.groups.get(name);
    if (group === undefined) continue;
    const message = `${name} has no members any more, so rules that name it name nobody`;
    findings.push({
      code: 'orphan',
      severity: 'hold',
      message,
      at: placeOf('candidate', group.at),
      witness: undefined,
    });
  }
  const dead = new Set(deadRules(comparison.before));
  for (const rule of coverageOf(comparison.after).rules) {
    if (!rule.isDead || dead.has(rule.rule.id)) continue;
    const message = `${formatRuleRef(rule.rule)} applies to nothing`;
    findings.push({
      code: 'orphan',
      severity: 'note',
      message,
      at: placeOfRule('candidate', rule.rule),
      witness: undefined,
    });
  }
  return findings;
}

function deadRules(relation: ChangeContext['comparison']['before']): readonly string[] {
  return coverageOf(relation).rules.flatMap(({ isDead, rule }) => (isDead ? [rule.id] : []));
}

function liveTags(nodes: readonly { readonly tags: readonly string[] }[]): ReadonlySet<string> {
  return new Set(nodes.flatMap(({ tags }) => tags));
}

function emptiedGroups(before: PolicyFile, after: PolicyFile): readonly string[] {
  return [...after.groups.values()]
    .filter(
      ({ name, members }) =>
        members.length === 0 && (before.groups.get(name)?.members.length ?? 0) > 0,
    )
    .map(({ name }) => name);
}
