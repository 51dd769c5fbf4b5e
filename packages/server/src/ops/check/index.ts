/**
 * @module The security checklist as a program: one table of lines, each a function from facts to a verdict.
 *
 * Promises: every line is pass, fail or unknown with evidence; each is turned red by a fault that no other line shows.
 * Refuses: reading anything (facts come from the composition root), mending anything. Limits: those of `finding`.
 */
import type { FindingReport } from '../finding/index.ts';
import { reportOf } from '../finding/index.ts';
import type { CheckFacts } from './facts.ts';
import type { CheckLine } from './line.ts';
import { judgeLine } from './line.ts';
import { exposureLines } from './lines-exposure.ts';
import { networkLines } from './lines-network.ts';
import { upkeepLines } from './lines-upkeep.ts';

export type * from './facts.ts';
export type { CheckLine } from './line.ts';
export { exposureOf, isExposed } from './places.ts';

/** The checklist, whole. */
export const checkLines: readonly CheckLine[] = [...exposureLines, ...networkLines, ...upkeepLines];

export function checkReport(facts: CheckFacts): FindingReport {
  return reportOf(checkLines.map((line) => judgeLine(line, facts)));
}
