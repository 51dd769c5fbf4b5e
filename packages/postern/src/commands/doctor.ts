import { diagnose, resolveSettings } from '@postern/server/app';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { table } from '../output/table.ts';

export const run: Run = async ({ io }) => {
  const findings = await diagnose(resolveSettings(io.flags, io.env));
  if (io.json) io.outJson(findings);
  else {
    io.out(
      table(
        ['what', 'verdict', 'finding'],
        findings.map(({ what, verdict, finding }) => [what, verdict, finding]),
      ),
    );
    const fixes = findings.flatMap(({ what, fix }) =>
      fix === undefined ? [] : [`  ${what}: ${fix}`],
    );
    if (fixes.length > 0) io.out(`\nWhat to do:\n${fixes.join('\n')}`);
  }
  return findings.every(({ verdict }) => verdict === 'good' || verdict === 'note')
    ? exitCodes.ok
    : exitCodes.failed;
};
