import { equalBytes } from '@postern/core/base';
import { appraisePlatform, finding, strictPlatformPolicy } from '@postern/core/attest';
import type { Run } from '../../command.ts';
import { challengeOf } from './context.ts';
import { answer, misuse, verifyInput } from './judge.ts';

export const run: Run = async (invocation) => {
  const challenge = challengeOf(invocation.options['reportData']);
  if (!challenge.ok) return misuse(invocation, challenge.error);
  const verified = await verifyInput(invocation);
  if (!verified.ok) return misuse(invocation, verified.error);
  const { report, context } = verified.value;
  const { verification } = report;
  const platform = appraisePlatform(verification, strictPlatformPolicy, context.nowMs);
  const refusals = [...platform.refusals];
  const { claims } = verification;
  if (claims !== undefined && challenge.value !== undefined) {
    if (!equalBytes(claims.reportData, challenge.value)) {
      refusals.push(finding('report_data_unexpected', ''));
    }
  }
  const verdict = { image: undefined, expiresAtMs: platform.expiresAtMs };
  return answer(invocation, { ...report, refusals, verdict });
};
