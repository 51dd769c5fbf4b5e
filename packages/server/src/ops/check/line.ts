import type { Finding, FindingKind, Outcome } from '../finding/index.ts';
import { findingOf, unknown } from '../finding/index.ts';
import type { CheckFacts, Known } from './facts.ts';

/** One line of the checklist: what it says, and how it is judged from facts. */
export interface CheckLine extends FindingKind {
  /** Which list asks for it: that of a network, of hygiene, or our own. */
  readonly list: 'network' | 'hygiene' | 'own';
  judge(facts: CheckFacts): Outcome;
}

/** Judges what was read; what could not be read is unknown, with the reason as evidence. */
export function known<T>(fact: Known<T>, judge: (value: T) => Outcome): Outcome {
  return fact.ok ? judge(fact.value) : unknown('It could not be looked at.', fact.error);
}

export function judgeLine(line: CheckLine, facts: CheckFacts): Finding {
  return findingOf(line, line.judge(facts));
}

export const dayMs = 86_400_000;

export function days(ms: number): string {
  const count = Math.floor(ms / dayMs);
  return count === 1 ? '1 day' : `${count} days`;
}
