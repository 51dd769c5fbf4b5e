import type { Finding, Severity, Verdict } from './finding.ts';

/** Findings and what they add up to. */
export interface FindingReport {
  /** `fail` where one failed, else `unknown` where one could not be looked at, else `pass`. */
  readonly verdict: 'pass' | 'fail' | 'unknown';
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly findings: readonly Finding[];
}

export function reportOf(findings: readonly Finding[]): FindingReport {
  const counts = { pass: 0, fail: 0, unknown: 0, note: 0 };
  for (const { verdict } of findings) counts[verdict] += 1;
  const verdict = counts.fail > 0 ? 'fail' : counts.unknown > 0 ? 'unknown' : 'pass';
  return { verdict, counts, findings };
}

const weight: Readonly<Record<Severity, number>> = { high: 0, medium: 1, low: 2 };

/** One step of a plan: what to type, and which findings it mends. */
export interface FixStep {
  readonly next: string;
  readonly mends: readonly string[];
  readonly severity: Severity;
}

/** What to do in which order: failures before what could not be looked at, the grave before the small, nothing twice. */
export function fixPlanOf({ findings }: FindingReport): readonly FixStep[] {
  const steps = new Map<string, FixStep>();
  const open = findings
    .filter(({ next }) => next !== undefined)
    .toSorted(
      (a, b) =>
        Number(a.verdict !== 'fail') - Number(b.verdict !== 'fail') ||
        weight[a.severity] - weight[b.severity],
    );
  for (const { id, next = '', severity } of open) {
    const before = steps.get(next);
    steps.set(next, {
      next,
      mends: [...(before?.mends ?? []), id],
      severity: before?.severity ?? severity,
    });
  }
  return [...steps.values()];
}
