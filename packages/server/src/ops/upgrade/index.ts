/**
 * @module Whether this release may take over from the one that runs: the gate before an upgrade, and the way back.
 *
 * Promises: nothing is changed by looking; a state that this release cannot read stops the upgrade, and so do a configuration or a policy that
 * it refuses and a backup that is missing. Refuses: reading anything (facts come from the composition root), installing.
 */
import type { FindingReport } from '../finding/index.ts';
import { findingOf, reportOf } from '../finding/index.ts';
import type { UpgradeFacts } from './facts.ts';
import { upgradeLines } from './lines.ts';

export type { UpgradeFacts } from './facts.ts';
export { upgradeLines } from './lines.ts';

export function upgradeReport(facts: UpgradeFacts): FindingReport {
  return reportOf(upgradeLines.map((line) => findingOf(line, line.judge(facts))));
}

/** How to go back once the upgrade was made: the words for the person who has to. */
export function wayBack({ running, schema, backup }: UpgradeFacts): string {
  const old = running === undefined ? 'the release from before' : `release ${running.version}`;
  const moves = schema !== undefined && schema.found < schema.known;
  if (!moves)
    return `To go back: stop Postern, install ${old} again, start it. The state stays as it is.`;
  const file = backup?.file ?? 'the backup that you made';
  return `To go back: stop Postern, install ${old} again, and restore ${file} into an empty folder (postern restore), since ${old} cannot read a state of schema ${schema.known}. What was changed after the backup is lost by that: revoke again what was revoked since.`;
}
