import { existsSync } from 'node:fs';
import { copyFile, constants, rm } from 'node:fs/promises';
import path from 'node:path';
import { isJsonObject, messageOf } from '@postern/core/base';
import { copyLog } from '@postern/server/adapters/segment-file';
import { backUpControlKey, controlKeyBackup, resolveSettings } from '@postern/server/app/settings';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { shown } from '../output/table.ts';

/** Postern makes and verifies the copy in its own folder; this puts it where the operator wants it. */
export const run: Run = async ({ args, io }) => {
  const target = path.resolve(args['file'] ?? '');
  if (existsSync(target)) {
    io.err(`${target} is there already; name a file that does not exist.`);
    return exitCodes.failed;
  }
  const made = await clientFor(io).json({ method: 'POST', path: '/api/v1/backups' });
  if (!made.ok) {
    io.err(made.error.message);
    return made.error.exit;
  }
  const manifest = isJsonObject(made.value) ? made.value : {};
  const source = shown(manifest['file']);
  try {
    await copyFile(source, target, constants.COPYFILE_EXCL);
    await rm(source);
  } catch (cause) {
    io.err(`The backup is at ${source}, but could not be copied to ${target}: ${messageOf(cause)}`);
    return exitCodes.failed;
  }
  const { stateDir } = resolveSettings(io.flags, io.env);
  const hasKey = await backUpControlKey(stateDir, target);
  const key = hasKey ? controlKeyBackup(target) : undefined;
  const log = `${target}.audit`;
  try {
    await copyLog(path.join(stateDir, 'audit'), log);
  } catch (cause) {
    io.err(
      `The state is in ${target}, but the audit log could not be copied to ${log}: ${messageOf(cause)}`,
    );
    return exitCodes.failed;
  }
  if (io.json)
    io.outJson({ ...manifest, file: target, audit_file: log, control_key_file: key ?? null });
  else
    io.out(
      `${target}: ${shown(manifest['records'])} records, SHA-256 ${shown(manifest['sha256'])}\n${log}: the audit log; keep both together${key === undefined ? '' : `\n${key}: the key by which machines know this server; keep it secret, and with them`}`,
    );
  return exitCodes.ok;
};
