import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { canonicalJson } from '@postern/core/state';

/** One thing that was done. */
export interface EvidenceAct {
  readonly what: string;
  /** `already`: it was so. `planned`: a dry run would do it. `none`: there is nothing of the kind here. */
  readonly outcome: 'done' | 'already' | 'planned' | 'failed' | 'none';
  readonly detail: string;
}

/** One thing that shows that it had its effect. */
export interface EvidenceProof {
  readonly what: string;
  readonly before: string;
  readonly after: string;
  readonly holds: boolean;
}

/** What a step of an incident did and what shows it. Signed as a C2SP note, so that it can be checked anywhere. */
export interface Evidence {
  readonly v: 1;
  readonly id: string;
  readonly step: string;
  readonly is_drill: boolean;
  readonly is_dry_run: boolean;
  readonly reason: string;
  /** Who asked, as records name them. */
  readonly actor: string;
  readonly began_at: string;
  readonly ended_at: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly acts: readonly EvidenceAct[];
  readonly proofs: readonly EvidenceProof[];
  /** `proven` only where every act succeeded and every proof holds. */
  readonly verdict: 'proven' | 'unproven' | 'planned';
  /** What is left for people, with what to type. */
  readonly follow_up: readonly string[];
  readonly report: readonly string[];
}

/** The text that is signed: one line of canonical JSON. */
export function evidenceText(evidence: Evidence): string {
  return `${canonicalJson(evidence)}\n`;
}

/** Reads what `evidenceText` wrote, after the signature over it was checked. */
export function readEvidence(text: string): Result<Evidence, string> {
  try {
    const value: unknown = JSON.parse(text);
    if (!isEvidence(value)) return err('this is no evidence of an incident');
    return evidenceText(value) === text ? ok(value) : err('this is not its one form');
  } catch {
    return err('this is no JSON');
  }
}

function isEvidence(value: unknown): value is Evidence {
  if (typeof value !== 'object' || value === null) return false;
  const names = ['id', 'step', 'reason', 'actor', 'verdict', 'acts', 'proofs', 'follow_up'];
  return 'v' in value && value.v === 1 && names.every((name) => name in value);
}

export function verdictOf(
  isDryRun: boolean,
  acts: readonly EvidenceAct[],
  proofs: readonly EvidenceProof[],
): Evidence['verdict'] {
  if (isDryRun) return 'planned';
  const isDone = acts.every(({ outcome }) => outcome !== 'failed');
  return isDone && proofs.length > 0 && proofs.every(({ holds }) => holds) ? 'proven' : 'unproven';
}
