import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { restoreLog } from '@postern/server/adapters/segment-file';
import {
  inspectBackup,
  resolveSettings,
  restoreBackup,
  restoreControlKey,
} from '@postern/server/app';
import type { ExitCode, Invocation, Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import type { Io } from '../output/io.ts';

export const run: Run = (invocation) => {
  const file = path.resolve(invocation.args['file'] ?? '');
  return invocation.options['verifyOnly'] === true
    ? inspect(file, invocation.io)
    : restore(file, invocation);
};

async function inspect(file: string, io: Io): Promise<ExitCode> {
  const inspected = await inspectBackup(file);
  if (!inspected.ok) {
    io.err(inspected.error.message);
    return exitCodes.failed;
  }
  const { manifest, report } = inspected.value;
  if (io.json) io.outJson({ manifest, report });
  else if (report.intact)
    io.out(
      `${file} is whole: ${manifest.records} records, the chain verifies up to ${manifest.headIndex}.`,
    );
  else
    io.err(`${file} is not whole:\n${report.findings.map((finding) => `  ${finding}`).join('\n')}`);
  return report.intact ? exitCodes.ok : exitCodes.failed;
}

async function restore(file: string, { io }: Invocation): Promise<ExitCode> {
  const { stateDir } = resolveSettings(io.flags, io.env);
  const restored = await restoreBackup({
    file,
    dir: stateDir,
    actor: { principal: `local:uid:${process.geteuid?.() ?? 'unknown'}`, channel: 'system' },
    nowMs: Date.now(),
  });
  if (!restored.ok) {
    io.err(restored.error.message);
    return exitCodes.failed;
  }
  const { manifest, head } = restored.value;
  const hasControlKey = await restoreControlKey(file, stateDir);
  const log = `${file}.audit`;
  const logRestored = existsSync(log)
    ? await restoreLog(log, path.join(stateDir, 'audit'))
    : undefined;
  if (logRestored?.ok === false) {
    io.err(`The state is restored, its audit log is not: ${logRestored.error}`);
    return exitCodes.failed;
  }
  if (logRestored === undefined) {
    io.err(`There is no ${log}: the audit log begins anew.`);
  }
  if (io.json)
    io.outJson({
      manifest,
      head,
      state_dir: stateDir,
      audit_records: logRestored?.value.records ?? 0,
      control_key: hasControlKey,
    });
  else
    io.out(
      `${stateDir} holds ${manifest.records} records of ${new Date(manifest.createdAtMs).toISOString()} and continues at ${head.index}. Start it: postern up --state ${stateDir}`,
    );
  return exitCodes.ok;
}
