import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';

export interface DaemonOptions {
  /** A folder of its own in the state folder. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: DaemonLog;
}

export interface DaemonLog {
  debug(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Daemon {
  readonly socket: string;
  /** Why it is not started again any more; undefined while it runs or will be. */
  problem(): string | undefined;
  /** Ends it, politely first. */
  stop(): Promise<void>;
}

/** What it may need of our environment; the rest may be secrets. */
const passedOn =
  /^(?:PATH|HOME|LANG|TMPDIR|SSL_CERT_(?:FILE|DIR)|(?:HTTPS?|NO)_PROXY|https?_proxy|no_proxy|TS_(?!AUTHKEY|CLIENT)\w+)$/;
const fallbackFolders = ['/usr/sbin', '/usr/local/sbin', '/usr/bin', '/usr/local/bin', '/sbin'];
/** The kernel's limit for the path of a unix socket, with its final zero byte. */
const socketPathBytesMax = 107;
const firstWaitMs = 500;
const waitMsMax = 30_000;
/** After this many ends in a row there is something that waiting does not mend. */
const restartsMax = 8;
/** A run this long was a good one. */
const goodRunMs = 60_000;
const politeMs = 5_000;
const lineCharsMax = 500;
const goneMsMax = 5_000;

/** `tailscaled` on the path of the environment, or where packages put it. */
export function findTailscaledProgram(env: DaemonOptions['env']): string | undefined {
  const folders = [...(env['PATH'] ?? '').split(path.delimiter), ...fallbackFolders];
  const name = process.platform === 'win32' ? 'tailscaled.exe' : 'tailscaled';
  return folders
    .filter((folder) => path.isAbsolute(folder))
    .map((folder) => path.join(folder, name))
    .find((file) => isProgram(file));
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export async function startDaemon(
  program: string,
  options: DaemonOptions,
): Promise<Result<Daemon, string>> {
  const { folder } = options;
  const socket = path.join(folder, 'tailscaled.sock');
  if (Buffer.byteLength(socket) > socketPathBytesMax) {
    return err(`the path ${socket} is too long for a socket; choose a shorter state folder`);
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await endFormer(path.join(folder, 'pid'), folder);
  return ok(new OwnedDaemon(program, socket, options));
}

/** One of ours that outlived a killed Postern holds the state: it is ended first, if it is what we think it is. */
async function endFormer(pidFile: string, folder: string): Promise<void> {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => '0'));
  if (!Number.isInteger(pid) || pid <= 1 || !(await isOurs(pid, folder))) return;
  process.kill(pid, 'SIGTERM');
  for (let waitedMs = 0; waitedMs < goneMsMax; waitedMs += 50) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    if (!(await isOurs(pid, folder))) return;
  }
  if (await isOurs(pid, folder)) process.kill(pid, 'SIGKILL');
}

async function isOurs(pid: number, folder: string): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return line.includes('tailscaled') && line.split('\0').includes(`--statedir=${folder}`);
}

class OwnedDaemon implements Daemon {
  readonly socket: string;
  readonly #program: string;
  readonly #options: DaemonOptions;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ends = 0;
  #problem: string | undefined;
  #isStopping = false;

  constructor(program: string, socket: string, options: DaemonOptions) {
    this.#program = program;
    this.socket = socket;
    this.#options = options;
    this.#start();
  }

  problem(): string | undefined {
    return this.#problem;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise<void>((resolve) => {
      child.once('close', () => resolve());
    });
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), politeMs);
    await closed;
    clearTimeout(timer);
    await rm(path.join(this.#options.folder, 'pid'), { force: true });
  }

  #start(): void {
    const { folder, env, log } = this.#options;
    const own = Object.entries(env).filter(([name]) => passedOn.test(name));
    const startedMs = performance.now();
    const child = spawn(
      this.#program,
      [
        '--tun=userspace-networking',
        `--statedir=${folder}`,
        `--state=${path.join(folder, 'tailscaled.state')}`,
        `--socket=${this.socket}`,
        '--port=0',
        '--no-logs-no-support',
      ],
      { env: Object.fromEntries(own), stdio: ['ignore', 'ignore', 'pipe'], windowsHide: true },
    );
    this.#child = child;
    if (child.pid !== undefined) {
      const file = path.join(folder, 'pid');
      void writeFile(file, String(child.pid), { mode: 0o600 }).catch(() => undefined);
    }
    let rest = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = (lines.pop() ?? '').slice(-lineCharsMax);
      for (const line of lines) log.debug({ line: line.slice(0, lineCharsMax) }, 'tailscaled');
    });
    child.once('error', (cause) => log.warn({ problem: cause.message }, 'tailscaled'));
    child.once('close', (code, signal) => {
      if (!this.#isStopping) this.#again(code ?? signal ?? 'unknown', startedMs);
    });
  }

  #again(end: number | string, startedMs: number): void {
    const { log } = this.#options;
    this.#ends = performance.now() - startedMs > goodRunMs ? 1 : this.#ends + 1;
    if (this.#ends > restartsMax) {
      this.#problem = `tailscaled ended ${this.#ends} times in a row (last with ${end}) and is not started again`;
      log.error({ problem: this.#problem }, 'tailscaled');
      return;
    }
    const waitMs = Math.min(firstWaitMs * 2 ** (this.#ends - 1), waitMsMax);
    log.warn({ end, again_in_ms: waitMs }, 'tailscaled ended');
    this.#timer = setTimeout(() => this.#start(), waitMs);
  }
}
