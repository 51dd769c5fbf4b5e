import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import type { OperatorFacts } from '@postern/core/identity';

type Finding = OperatorFacts['tailscaled'];

const absent: Finding = { found: false };
const here: Finding = { found: true };
const daemonName = 'tailscaled';
/** Processes looked at side by side; the thread pool has four threads. */
const batchSize = 16;
/** A process table beyond this is not searched: what is not looked at counts as here. */
const processesMax = 100_000;
const listTimeoutMs = 5_000;
const listBytesMax = 16 * 1024 * 1024;

/**
 * Looks for a tailscaled of our own user in our own network namespace, by the process table. Such a daemon in
 * userspace mode dials 127.0.0.1 for its peers, with sockets that look like ours. What cannot be read counts as one.
 */
export async function findTailscaled(proc: string, uid: number): Promise<Finding> {
  let names: readonly string[];
  let ourNetwork: string;
  try {
    if (await hidesProcesses(proc)) return unreadable('the process table is mounted with hidepid');
    names = (await readdir(proc)).filter((name) => /^[0-9]+$/.test(name));
    ourNetwork = await readlink(`${proc}/self/ns/net`);
  } catch {
    return unreadable('the process table cannot be read');
  }
  if (names.length > processesMax)
    return unreadable('the process table is too long to be searched');
  let unknown: Finding = absent;
  for (let at = 0; at < names.length; at += batchSize) {
    const batch = names.slice(at, at + batchSize);
    const findings = await Promise.all(
      batch.map((name) => lookAt(`${proc}/${name}`, name, uid, ourNetwork)),
    );
    if (findings.some((finding) => finding.found)) return here;
    unknown = findings.find((finding) => finding.unknown !== undefined) ?? unknown;
  }
  return unknown;
}

/** With `hidepid=2` a daemon that may not be traced is invisible even to its own user. */
async function hidesProcesses(proc: string): Promise<boolean> {
  const mounts = await readFile(`${proc}/self/mountinfo`, 'latin1');
  return mounts
    .split('\n')
    .some((line) => / - proc /.test(line) && /\bhidepid=(?:2|4|invisible|ptraceable)\b/.test(line));
}

async function lookAt(
  folder: string,
  pid: string,
  uid: number,
  ourNetwork: string,
): Promise<Finding> {
  try {
    const status = await readFile(`${folder}/status`, 'latin1');
    if (!hasUser(status, uid)) return absent;
    if (!(await isDaemon(folder, status))) return absent;
    return (await readlink(`${folder}/ns/net`)) === ourNetwork ? here : absent;
  } catch (error) {
    return isGone(error) ? absent : unreadable(`process ${pid} cannot be looked at`);
  }
}

/** Real, effective, saved or file-system user: any of them lets it open sockets in our name. */
function hasUser(status: string, uid: number): boolean {
  const line = /^Uid:\s+(.*)$/m.exec(status)?.[1];
  return line === undefined || line.split(/\s+/).includes(String(uid));
}

/** By the kernel's name of it, by what it was started as, and by its file, where that may be read. */
async function isDaemon(folder: string, status: string): Promise<boolean> {
  const name = /^Name:\s+(.*)$/m.exec(status)?.[1] ?? daemonName;
  if (name.startsWith(daemonName)) return true;
  const command = (await readFile(`${folder}/cmdline`, 'latin1')).split('\0', 1)[0] ?? '';
  if (baseName(command).startsWith(daemonName)) return true;
  return baseName(await readlink(`${folder}/exe`).catch(() => '')).startsWith(daemonName);
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function isGone(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOENT' || code === 'ESRCH';
}

function unreadable(why: string): Finding {
  return { found: false, unknown: why };
}

/** Names of all processes, one a line, where there is no process file system. */
export type ListProcesses = () => Promise<readonly string[]>;

/** Outside Linux the user of a process says too little about the sockets it opens: any tailscaled counts. */
export async function findAnyTailscaled(list: ListProcesses): Promise<Finding> {
  try {
    const names = await list();
    if (names.length === 0) return unreadable('the list of processes is empty');
    return names.some((name) => baseName(name.trim()).toLowerCase().startsWith(daemonName))
      ? here
      : absent;
  } catch {
    return unreadable('the list of processes cannot be read');
  }
}

/** Asks the system's own program for the list: `tasklist` on Windows, `ps` elsewhere. */
export function listProcessesOf(platform: string): ListProcesses {
  const [file, args] =
    platform === 'win32'
      ? (['tasklist', ['/fo', 'csv', '/nh']] as const)
      : (['/bin/ps', ['-axo', 'comm=']] as const);
  return () =>
    new Promise((resolve, reject) => {
      const limits = { timeout: listTimeoutMs, maxBuffer: listBytesMax, windowsHide: true };
      execFile(file, args, limits, (error, stdout) => {
        if (error === null)
          resolve(stdout.split(/\r?\n/).map((line) => line.replace(/^"|",.*$/g, '')));
        else reject(error);
      });
    });
}
