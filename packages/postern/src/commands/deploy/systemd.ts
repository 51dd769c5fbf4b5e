import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { Invocation, Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import type { Io } from '../../output/io.ts';
import { deployFile } from './files.ts';

const unitName = 'postern.service';
/** What a unit file can hold without quoting: no spaces, no specifiers, no line ends. */
const plainPath = /^\/[A-Za-z0-9._@/+-]+$/u;
const userName = /^[a-z_][a-z0-9_-]{0,31}$/u;
const credential = /^([A-Za-z0-9_-]{1,64})=(\/[A-Za-z0-9._@/+-]+)$/u;

/** Prints the unit, or installs it. The second time it changes nothing and says so. */
export const run: Run = async ({ options, io }) => {
  const unit = await unitOf(options);
  if (!unit.ok) {
    io.err(unit.error);
    return exitCodes.usage;
  }
  if (options['install'] !== true) {
    if (io.json) io.outJson({ unit: unitName, text: unit.value });
    else io.piece(unit.value);
    return exitCodes.ok;
  }
  const folder =
    typeof options['unitFolder'] === 'string' ? options['unitFolder'] : '/etc/systemd/system';
  return install(path.join(folder, unitName), unit.value, io);
};

async function unitOf(options: Invocation['options']): Promise<Result<string, string>> {
  const user = typeof options['user'] === 'string' ? options['user'] : 'postern';
  if (!userName.test(user)) return err('--user takes the name of a system user.');
  const program =
    typeof options['program'] === 'string' ? options['program'] : (process.argv[1] ?? '');
  if (!plainPath.test(program))
    return err(`--program takes an absolute path without spaces; ${program} is none.`);
  const credentials: string[] = [];
  const given = typeof options['credential'] === 'string' ? options['credential'].split(',') : [];
  for (const each of given) {
    const match = credential.exec(each.trim());
    if (match === null) return err(`--credential takes NAME=/absolute/file; ${each} is none.`);
    credentials.push(`LoadCredential=${match[1] ?? ''}:${match[2] ?? ''}`);
  }
  const template = await deployFile('systemd', unitName);
  return ok(
    template
      .replace(/^ExecStart=.*$/mu, () => `ExecStart=${process.execPath} ${program} up --log json`)
      .replace(/^User=.*$/mu, () => `User=${user}`)
      .replace(/^Group=.*$/mu, () => `Group=${user}`)
      .replace(/^# LoadCredential=.*\n/mu, () => credentials.map((line) => `${line}\n`).join('')),
  );
}

async function install(file: string, text: string, io: Io): Promise<0 | 1> {
  try {
    const present = await readFile(file, 'utf8').catch(() => undefined);
    if (present === text) {
      io.err(`${file} is as it should be.`);
      return exitCodes.ok;
    }
    await mkdir(path.dirname(file), { recursive: true });
    // Aside and renamed: systemd never reads half a unit.
    await writeFile(`${file}.new`, text, { mode: 0o644 });
    await rename(`${file}.new`, file);
  } catch (cause) {
    io.err(`Cannot write ${file}: ${messageOf(cause)}`);
    return exitCodes.failed;
  }
  io.err(`Wrote ${file}.`);
  const isRead = await reload();
  io.err(
    isRead
      ? 'Next: systemctl enable --now postern'
      : 'systemd does not run here; on the machine itself: systemctl daemon-reload && systemctl enable --now postern',
  );
  return exitCodes.ok;
}

async function reload(): Promise<boolean> {
  try {
    await promisify(execFile)('systemctl', ['daemon-reload'], { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}
