import { diagnoseNetwork } from '@postern/server/app/machine';
import { resolveSettings } from '@postern/server/app/settings';
import type { Run } from '../../command.ts';
import { printFindings } from '../../output/findings.ts';
import { exitOf } from '../check.ts';

export const run: Run = async ({ io }) => {
  const report = await diagnoseNetwork(resolveSettings(io.flags, io.env));
  if (io.json) io.outJson(report);
  else printFindings(io, 'finding', report.findings);
  return exitOf(report.verdict);
};
