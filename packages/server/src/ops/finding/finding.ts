/** How much it matters where it is wrong: `high` exposes or stops something now. */
export type Severity = 'high' | 'medium' | 'low';

/**
 * What came out of a look. `unknown` never counts as good: it could not be looked at. `note`: nothing is wrong, and
 * it is worth knowing.
 */
export type Verdict = 'pass' | 'fail' | 'unknown' | 'note';

/** One thing that can be wrong: a row of a table. The reference pages, the commands and the tests come from rows. */
export interface FindingKind {
  /** Stable; programs compare with it. Lower case with dashes. */
  readonly id: string;
  /** What is so where all is well, as a short sentence without its full stop. */
  readonly title: string;
  /** Why anybody should care, a sentence. */
  readonly why: string;
  /** What to type next where it is wrong: a command where there is one. */
  readonly next: string;
  readonly severity: Severity;
}

/** What a look at one thing found. */
export interface Outcome {
  readonly verdict: Verdict;
  /** What is so here and now, a sentence. */
  readonly what: string;
  /** What it was read from: addresses, files, answers. Never a secret. */
  readonly evidence?: readonly string[];
  /** What to type next, where this case knows better than the row. */
  readonly next?: string;
}

/** A row with what was found, as people and programs get it. */
export interface Finding {
  readonly id: string;
  readonly title: string;
  readonly verdict: Verdict;
  readonly severity: Severity;
  readonly what: string;
  readonly why: string;
  /** Absent where nothing has to be done. */
  readonly next?: string;
  readonly evidence: readonly string[];
}

export const pass = (what: string, ...evidence: readonly string[]): Outcome => ({
  verdict: 'pass',
  what,
  evidence,
});

export const fail = (what: string, ...evidence: readonly string[]): Outcome => ({
  verdict: 'fail',
  what,
  evidence,
});

export const unknown = (what: string, ...evidence: readonly string[]): Outcome => ({
  verdict: 'unknown',
  what,
  evidence,
});

export const note = (what: string, ...evidence: readonly string[]): Outcome => ({
  verdict: 'note',
  what,
  evidence,
});

/** Lines of evidence that one finding carries at most: past that, the first ones say enough. */
const evidenceMax = 20;

export function findingOf(kind: FindingKind, outcome: Outcome): Finding {
  const { id, title, severity, why } = kind;
  const { verdict, what, evidence = [] } = outcome;
  const isWrong = verdict === 'fail' || verdict === 'unknown';
  const next = outcome.next ?? (isWrong ? kind.next : undefined);
  const rest = evidence.length - evidenceMax;
  return {
    id,
    title,
    verdict,
    severity,
    what,
    why,
    ...(next === undefined ? {} : { next }),
    evidence: rest > 0 ? [...evidence.slice(0, evidenceMax), `and ${rest} more`] : evidence,
  };
}
