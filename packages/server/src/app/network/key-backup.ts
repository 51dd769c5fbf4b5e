import { existsSync } from 'node:fs';
import { chmod, constants, copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';

const ownerOnly = 0o600;

/** The key by which machines know this server, in the state folder. */
export function controlKeyPath(stateDir: string): string {
  return path.join(stateDir, 'coordination', 'control.key');
}

/** Beside a backup: without it every machine would have to begin anew after a restore. */
export function controlKeyBackup(backupFile: string): string {
  return `${backupFile}.control-key`;
}

/** Puts the control key beside a backup; false where there is none. Never replaces a file. */
export async function backUpControlKey(stateDir: string, backupFile: string): Promise<boolean> {
  return copied(controlKeyPath(stateDir), controlKeyBackup(backupFile));
}

/** Puts the control key of a backup into a restored state folder; false where the backup has none. */
export async function restoreControlKey(backupFile: string, stateDir: string): Promise<boolean> {
  const target = controlKeyPath(stateDir);
  if (!existsSync(controlKeyBackup(backupFile))) return false;
  await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
  return copied(controlKeyBackup(backupFile), target);
}

async function copied(from: string, to: string): Promise<boolean> {
  if (!existsSync(from)) return false;
  await copyFile(from, to, constants.COPYFILE_EXCL);
  await chmod(to, ownerOnly);
  return true;
}
