import { mkdir, open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { joinFolder } from './steps.ts';

/** Held by the process that lives a membership. */
export interface JoinLock {
  release(): Promise<void>;
}

function fileOf(stateDir: string): string {
  return path.join(joinFolder(stateDir), 'pid');
}

/** The process that holds it, where one is alive. */
export async function holderOf(stateDir: string): Promise<number | undefined> {
  const text = await readFile(fileOf(stateDir), 'utf8').catch(() => '');
  const [number = '', startedAt = ''] = text.trim().split(' ');
  const pid = Number(number);
  if (!Number.isSafeInteger(pid) || pid <= 1 || !isAlive(pid)) return undefined;
  // A number is used again: the same process began at the same tick.
  return (await startOf(pid)) === startedAt ? pid : undefined;
}

/** Undefined where another process holds it. */
export async function takeLock(stateDir: string): Promise<JoinLock | undefined> {
  const file = fileOf(stateDir);
  await mkdir(joinFolder(stateDir), { recursive: true, mode: 0o700 });
  for (let tries = 0; tries < 2; tries += 1) {
    if ((await holderOf(stateDir)) !== undefined) return undefined;
    await rm(file, { force: true });
    const handle = await open(file, 'wx', 0o600).catch(() => undefined);
    if (handle === undefined) continue;
    await handle.writeFile(`${process.pid} ${await startOf(process.pid)}\n`);
    await handle.close();
    return { release: () => rm(file, { force: true }) };
  }
  return undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return cause instanceof Error && 'code' in cause && cause.code === 'EPERM';
  }
}

/** In clock ticks since the machine began; empty where the system does not say. */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name of the command may hold spaces and brackets: fields are counted from its end.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
