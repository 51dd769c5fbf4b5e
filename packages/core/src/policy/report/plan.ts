/** A plan as data: what a person reads before agreeing. */
import type { ChangeFinding, ChangePlan, Risk, Verdict } from '../change/index.ts';
import { type ChangeView, changeView } from './diff.ts';
import { testViews, type TestView } from './check.ts';

export interface PlanFindingView {
  readonly code: string;
  readonly severity: ChangeFinding['severity'];
  readonly message: string;
  /** In which of the two files. */
  readonly file: 'current' | 'candidate' | null;
  readonly pointer: string;
  readonly line: number;
  readonly column: number;
}

export interface PlanReport {
  readonly verdict: Verdict;
  readonly risk: Risk;
  readonly findings: readonly PlanFindingView[];
  readonly changes: readonly ChangeView[];
  readonly tests: readonly TestView[];
  readonly text_diff: string;
}

export function planReport(plan: ChangePlan): PlanReport {
  return {
    verdict: plan.verdict,
    risk: plan.risk,
    findings: plan.findings.map(({ code, severity, message, at }) => ({
      code,
      severity,
      message,
      file: at?.file ?? null,
      pointer: at?.pointer ?? '',
      line: at?.line ?? 0,
      column: at?.column ?? 0,
    })),
    changes: (plan.changes ?? []).map(changeView),
    tests: testViews(plan.tests),
    text_diff: plan.textDiff,
  };
}
