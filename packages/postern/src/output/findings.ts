import type { JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import type { Io } from './io.ts';
import { shown, table } from './table.ts';

/** A finding as a running Postern tells it. */
export interface ShownFinding {
  readonly id: string;
  readonly verdict: string;
  readonly severity: string;
  readonly what: string;
  readonly why: string;
  readonly next: string | undefined;
  readonly evidence: readonly string[];
}

export function findingsOf(value: JsonValue | undefined): readonly ShownFinding[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each) => {
    if (!isJsonObject(each)) return [];
    const { next, evidence } = each;
    return [
      {
        id: shown(each['id']),
        verdict: shown(each['verdict']),
        severity: shown(each['severity']),
        what: shown(each['what']),
        why: shown(each['why']),
        next: typeof next === 'string' ? next : undefined,
        evidence: Array.isArray(evidence) ? evidence.map(shown) : [],
      },
    ];
  });
}

/** What is wrong, why that matters, what to type next. */
export function findingLines(
  finding: Omit<ShownFinding, 'severity'> & { severity: string },
): string {
  const { id, verdict, severity, what, why, next, evidence } = finding;
  return [
    `${id} (${verdict}, ${severity}): ${what}`,
    ...evidence.map((each) => `    ${each}`),
    `  why:  ${why}`,
    ...(next === undefined ? [] : [`  next: ${next}`]),
  ].join('\n');
}

/** A report as a table, and below it what is open in words; `first` is what its rows are called. */
export function printFindings(
  io: Io,
  first: string,
  findings: readonly (Omit<ShownFinding, 'next'> & { readonly next?: string })[],
): void {
  io.out(
    table(
      [first, 'verdict', 'what is so'],
      findings.map(({ id, verdict, what }) => [id, verdict, what]),
    ),
  );
  const open = findings.filter(
    ({ verdict, next }) => verdict === 'fail' || verdict === 'unknown' || next !== undefined,
  );
  if (open.length > 0)
    io.out(`\n${open.map((each) => findingLines({ ...each, next: each.next })).join('\n\n')}`);
}
