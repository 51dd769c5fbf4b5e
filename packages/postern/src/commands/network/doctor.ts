import { diagnoseNetwork } from '@postern/server/app/machine';
import { resolveSettings } from '@postern/server/app/settings';
import type { Run } from '../../command.ts';
import { findingLines } from '../../output/findings.ts';
import { table } from '../../output/table.ts';
import { exitOf } from '../check.ts';

export const run: Run = async ({ io }) => {
  const report = await diagnoseNetwork(resolveSettings(io.flags, io.env));
  if (io.json) io.outJson(report);
  else {
    io.out(
      table(
        ['finding', 'verdict', 'what is so'],
        report.findings.map(({ id, verdict, what }) => [id, verdict, what]),
      ),
    );
    const open = report.findings.filter(
      ({ verdict, next }) => verdict === 'fail' || verdict === 'unknown' || next !== undefined,
    );
    if (open.length > 0) {
      io.out(`\n${open.map((each) => findingLines({ ...each, next: each.next })).join('\n\n')}`);
    }
  }
  return exitOf(report.verdict);
};
