import { appraise } from '@postern/core/attest';
import type { Run } from '../../command.ts';
import { challengeOf } from './context.ts';
import { answer, misuse, verifyInput } from './judge.ts';
import { loadPolicy } from './policy-file.ts';

export const run: Run = async (invocation) => {
  const { policy: file, reportData } = invocation.options;
  if (typeof file !== 'string') {
    return misuse(
      invocation,
      'Appraisal needs a policy: --policy FILE. Without one, nothing is accepted.',
    );
  }
  const policy = await loadPolicy(file);
  if (!policy.ok) return misuse(invocation, policy.error);
  const challenge = challengeOf(reportData);
  if (!challenge.ok) return misuse(invocation, challenge.error);
  const verified = await verifyInput(invocation);
  if (!verified.ok) return misuse(invocation, verified.error);
  const { report, context } = verified.value;
  const asked = challenge.value === undefined ? undefined : { reportData: challenge.value };
  const verdict = appraise(report.verification, policy.value, context.nowMs, asked);
  return answer(invocation, { ...report, refusals: verdict.refusals, verdict });
};
