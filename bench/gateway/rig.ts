import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import http from 'node:http';
import { homedir } from 'node:os';
import path from 'node:path';

/** What the bench needs of the machine: pinned processes, their processor time and memory, programs in C. */

/** The server under test is alone on one core; load and mock upstream share the other. */
export const serverCore = '1';
export const loadCore = '0';
/** Outside the tree: programs and packages that only the bench uses. */
export const cache = path.join(homedir(), '.cache/postern-bench');
const ticksPerSecond = 100;
const startMsMax = 20_000;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface Pinned {
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Starts a program on one core, its output in a file. */
export function startPinned(
  core: string,
  command: readonly string[],
  options: { readonly log: string; readonly env?: NodeJS.ProcessEnv; readonly cwd?: string },
): Pinned {
  const log = openSync(options.log, 'w');
  const child = spawn('taskset', ['-c', core, ...command], {
    stdio: ['ignore', log, log],
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  closeSync(log);
  running.add(child);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      running.delete(child);
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 2_000);
    await ended;
    clearTimeout(late);
  };
  return { child, stop };
}

/** Compiles a program of this folder where it is newer than what is there. */
export function compiled(name: string): string {
  mkdirSync(cache, { recursive: true });
  const source = path.join(import.meta.dirname, `${name}.c`);
  const target = path.join(cache, name);
  if (!existsSync(target) || statSync(target).mtimeMs < statSync(source).mtimeMs) {
    execFileSync('gcc', ['-O2', '-D_GNU_SOURCE', '-o', target, source]);
  }
  return target;
}

/** Programs that are missing come from the distribution, where we may install; else the peer is left out. */
export function hasProgram(name: string, debianPackage: string): boolean {
  if (isThere(name)) return true;
  if (process.getuid?.() !== 0) return false;
  try {
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', debianPackage], {
      stdio: 'ignore',
    });
  } catch {
    return false;
  }
  return isThere(name);
}

function isThere(name: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(path.join(folder, name)));
}

/** Waits until the server answers a POST with success; says what it wrote where it never does. */
export async function untilServes(port: number, request: Buffer, log: string): Promise<void> {
  const end = Date.now() + startMsMax;
  for (;;) {
    if (await serves(port, request)) return;
    if (Date.now() > end) {
      throw new Error(`port ${port} does not serve: ${readFileSync(log, 'utf8').slice(-2_000)}`);
    }
    await sleep(50);
  }
}

function serves(port: number, request: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const [head = '', body = ''] = request.toString('latin1').split('\r\n\r\n');
    const [, ...lines] = head.split('\r\n');
    const headers = Object.fromEntries(lines.map((line) => line.split(': ') as [string, string]));
    const url = head.split(' ')[1] ?? '/';
    const sent = http.request(
      { host: '127.0.0.1', port, path: url, method: 'POST', headers, agent: false },
      (answer) => {
        answer.resume();
        answer.once('end', () => resolve(answer.statusCode === 200));
        answer.once('error', () => resolve(false));
      },
    );
    sent.once('error', () => resolve(false));
    sent.end(body);
  });
}

/** A process and all that it started. */
function family(pid: number): readonly number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    const pids = children === '' ? [] : children.split(' ').map(Number);
    return [pid, ...pids.flatMap(family)];
  } catch {
    return [pid];
  }
}

/** Processor time used so far, in microseconds. */
export function cpuMicros(pid: number): number {
  let ticks = 0;
  for (const one of family(pid)) {
    try {
      const stat = readFileSync(`/proc/${one}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It ended meanwhile.
    }
  }
  return (ticks * 1e6) / ticksPerSecond;
}

export function residentKb(pid: number): number {
  let sum = 0;
  for (const one of family(pid)) {
    try {
      sum += Number(
        /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0,
      );
    } catch {
      // It ended meanwhile.
    }
  }
  return sum;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
