/** A change must not give more to the one who proposes it. */
import type { ChangeContext } from './context.ts';
import { sourcesOf } from './context.ts';
import { type ChangeFinding, describeChange, placeOf, placeOfRule } from './finding.ts';
import { mintableTags } from './tag-owners.ts';

/** Growth of what the author, and every tag that the author may give, can reach. Always for a human to decide. */
export function escalationFindings(context: ChangeContext): readonly ChangeFinding[] {
  const { before, after, comparison, request } = context;
  const { actor, inventory } = request;
  const mintedBefore = mintableTags(before, inventory, actor.selectors);
  const mintedAfter = mintableTags(after, inventory, actor.selectors);
  const findings: ChangeFinding[] = [];
  for (const tag of mintedAfter) {
    if (mintedBefore.has(tag)) continue;
    const owner = after.tagOwners.get(tag);
    findings.push({
      code: 'self_escalation',
      severity: 'hold',
      message: `${actor.name} proposes that ${actor.name} may give ${tag} to machines, and so get all that it reaches`,
      at: owner === undefined ? undefined : placeOf('candidate', owner.at),
      witness: undefined,
    });
  }
  const own = new Set(
    [...sourcesOf(comparison.after, [...actor.selectors, ...mintedBefore])].map(({ id }) => id),
  );
  for (const change of comparison.changes) {
    if (change.change !== 'added' || !change.sourceAtoms.some((id) => own.has(id))) continue;
    const whose = change.sources.join(', ');
    findings.push({
      code: 'self_escalation',
      severity: 'hold',
      message: `${actor.name} proposes more access for ${actor.name} or a tag that it may give (${whose}): ${describeChange(change)}`,
      at: placeOfRule('candidate', change.witness.rules[0]),
      witness: change.witness,
    });
  }
  return findings;
}
