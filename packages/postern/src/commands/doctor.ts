import { isJsonObject } from '@postern/core/base';
import { diagnose, resolveSettings } from '@postern/server/app';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { printFindings } from '../output/findings.ts';
import type { Io } from '../output/io.ts';
import { version } from '../version.ts';
import { exitOf } from './check.ts';

/** Exit 0 where nothing is wrong, 1 where something is, 5 where something could not be looked at. */
export const run: Run = async ({ io, options }) => {
  const { peerCertificate } = options;
  const report = await diagnose(resolveSettings(io.flags, io.env), {
    version: version(),
    running: await runningVersion(io),
    ...(typeof peerCertificate === 'string' ? { peerCertificate } : {}),
  });
  if (io.json) io.outJson(report);
  else printFindings(io, 'finding', report.findings);
  return exitOf(report.verdict);
};

/** Of the Postern that runs with this state folder; undefined where none does. */
async function runningVersion(
  io: Io,
): Promise<{ ok: true; value: string | undefined } | { ok: false; error: string }> {
  const asked = await clientFor(io).json({ method: 'GET', path: '/api/v1/runtime' });
  if (!asked.ok) {
    return asked.error.exit === exitCodes.unreachable &&
      !asked.error.message.includes('another user')
      ? { ok: true, value: undefined }
      : { ok: false, error: asked.error.message };
  }
  const text = isJsonObject(asked.value) ? asked.value['version'] : undefined;
  return { ok: true, value: typeof text === 'string' ? text : undefined };
}
