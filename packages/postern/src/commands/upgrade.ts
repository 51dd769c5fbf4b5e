import path from 'node:path';
import type { JsonObject } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import { resolveSettings } from '@postern/server/app/settings';
import { clientFor } from '../client/index.ts';
import type { ExitCode, Invocation, Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { printFindings } from '../output/findings.ts';
import { shown } from '../output/table.ts';
import { version } from '../version.ts';
import { exitOf } from './check.ts';

/** Run by the release that is to take over, beside the one that runs. It looks, and with `--backup` it makes the backup first. */
export const run: Run = async (invocation) => {
  const { io, options } = invocation;
  if (options['check'] !== true) {
    io.err(
      'Postern does not install itself. Install the new release beside the old one, then: postern upgrade --check',
    );
    return exitCodes.usage;
  }
  const backup = options['backup'];
  if (typeof backup === 'string') {
    const made = await backUp(invocation, backup);
    if (made !== exitCodes.ok) return made;
  }
  const settings = resolveSettings(io.flags, io.env);
  const { lookBeforeUpgrade } = await import('@postern/server/app/upgrade');
  const { report, back } = await lookBeforeUpgrade({
    settings,
    version: version(),
    running: await runningFacts(invocation),
    nowMs: Date.now(),
    ...(typeof backup === 'string' ? { backupFile: path.resolve(backup) } : {}),
  });
  if (io.json) io.outJson({ ...JSON.parse(JSON.stringify(report)), way_back: back });
  else {
    printFindings(io, 'line', report.findings);
    io.out(`\n${back}`);
  }
  return exitOf(report.verdict);
};

async function backUp({ io, options }: Invocation, file: string): Promise<ExitCode> {
  const { run: backup } = await import('./backup.ts');
  // What the backup has to say is for people here: the answer of this command is the report.
  return backup({
    args: { file },
    options,
    io: { ...io, json: false, out: (text) => io.err(text) },
  });
}

async function runningFacts({ io }: Invocation) {
  const asked = await clientFor(io).json({ method: 'GET', path: '/api/v1/runtime' });
  if (!asked.ok || !isJsonObject(asked.value)) return undefined;
  const { version: running, role, listeners } = asked.value;
  const open = Array.isArray(listeners)
    ? listeners.filter(isJsonObject).reduce((sum, each) => sum + connectionsOf(each), 0)
    : 0;
  return { version: shown(running), role: shown(role), openConnections: open };
}

function connectionsOf({ connections }: JsonObject): number {
  return typeof connections === 'number' ? connections : 0;
}
