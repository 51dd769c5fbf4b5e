import { execFile } from 'node:child_process';
import type { JsonObject } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { ExitCode, Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { findingLines, findingsOf } from '../output/findings.ts';
import { shown, table } from '../output/table.ts';
import { isSshHost, lookBySsh } from './check-ssh.ts';

/** Exit 0 where every line passes, 1 where one fails, 5 where one could not be looked at. */
export const run: Run = async ({ io, options }) => {
  const named = options['ssh'];
  const hosts = typeof named === 'string' ? named.split(',') : [];
  const strange = hosts.find((host) => !isSshHost(host));
  if (strange !== undefined) {
    io.err(`--ssh: "${strange}" is no name of a machine.`);
    return exitCodes.usage;
  }
  const [firewall, ...ssh] = await Promise.all([ruleset(), ...hosts.map(lookBySsh)]);
  const asked = await clientFor(io).json({
    method: 'POST',
    path: '/api/v1/check',
    body: {
      ...(firewall === undefined ? {} : { firewall }),
      ...(hosts.length === 0 ? {} : { ssh }),
    },
  });
  if (!asked.ok) {
    io.err(asked.error.message);
    return asked.error.exit;
  }
  const report = isJsonObject(asked.value) ? asked.value : {};
  const findings = findingsOf(report['findings']);
  if (io.json) io.outJson(options['fixPlan'] === true ? report['fix_plan'] : report);
  else if (options['fixPlan'] === true) io.out(planText(report));
  else {
    io.out(
      table(
        ['line', 'verdict', 'what is so'],
        findings.map(({ id, verdict, what }) => [id, verdict, what]),
      ),
    );
    const open = findings.filter(({ verdict }) => verdict !== 'pass' && verdict !== 'note');
    if (open.length > 0) io.out(`\n${open.map(findingLines).join('\n\n')}`);
  }
  return exitOf(report['verdict']);
};

export function exitOf(verdict: unknown): ExitCode {
  if (verdict === 'pass') return exitCodes.ok;
  return verdict === 'unknown' ? exitCodes.unproven : exitCodes.failed;
}

function planText(report: JsonObject): string {
  const steps = report['fix_plan'];
  const lines = Array.isArray(steps)
    ? steps.flatMap((step, at) =>
        isJsonObject(step)
          ? [
              `${at + 1}. ${shown(step['next'])}\n   mends: ${mendsOf(step)} (${shown(step['severity'])})`,
            ]
          : [],
      )
    : [];
  return lines.length === 0 ? 'Nothing has to be mended.' : lines.join('\n');
}

function mendsOf({ mends }: JsonObject): string {
  return Array.isArray(mends) ? mends.map(shown).join(', ') : '';
}

/** Whoever types this may look at the packet filter, where the service may not. */
function ruleset(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const limits = { timeout: 5_000, maxBuffer: 2_000_000, windowsHide: true };
    execFile('nft', ['-j', 'list', 'ruleset'], limits, (fault, stdout) => {
      resolve(fault === null ? stdout : undefined);
    });
  });
}
