import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterEach } from 'vitest';
import { runProgram } from '../../packages/postern/src/program.ts';

/** What tests of whole processes share: starting them, and ending them whatever happens. */

const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');
/** Compiling the sources takes most of a start; the next process finds it done. */
const compiled = path.resolve(import.meta.dirname, '../../node_modules/.cache/postern-e2e');
const children = new Set<ChildProcess>();
const folders: string[] = [];
const runMsMax = 15_000;

function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}
process.on('exit', killAll);

afterEach(async () => {
  killAll();
  // Until they have ended they write into their folders.
  const alive = [...children].filter(
    ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
  );
  await Promise.all(alive.map((child) => once(child, 'exit')));
  await Promise.all(
    folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true, maxRetries: 5 })),
  );
});

export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'postern-e2e-'));
  folders.push(folder);
  return folder;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Nothing of the machine's own variables but what Node needs: a key that happens to be set is no test. */
function cleanEnv(more: Env): Record<string, string> {
  const env = {
    PATH: process.env['PATH'],
    NODE_COMPILE_CACHE: compiled,
    PORT: '0',
    POSTERN_ADMIN_ADDR: '127.0.0.1:0',
    ...more,
  };
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A process of ours, with what it has said so far. */
export interface Running {
  readonly child: ChildProcess;
  out(): string;
  err(): string;
  /** The log lines so far, where the log is JSON. */
  log(): readonly Record<string, unknown>[];
  readonly ended: Promise<Ended>;
}

export function spawnPostern(
  words: readonly string[],
  env: Env = {},
  before: readonly string[] = [],
): Running {
  const [program = '', ...args] = [...before, process.execPath, main, ...words];
  const child = spawn(program, args, { env: cleanEnv(env), stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => {
      children.delete(child);
      resolve({ code, out, err });
    });
  });
  const log = (): Record<string, unknown>[] =>
    out
      .split('\n')
      .filter((line) => line.startsWith('{'))
      // Each line of the log is one JSON object.
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { child, out: () => out, err: () => err, log, ended };
}

export interface Up extends Running {
  readonly stateDir: string;
  readonly url: string;
  readonly port: number;
  get(route: string, headers?: Record<string, string>): Promise<Response>;
  /** The command line against this process, in ours. */
  cli(...words: readonly string[]): Promise<Ended>;
}

/** A whole `postern up` on a free port. */
export async function up(
  options: { stateDir?: string; env?: Env; words?: readonly string[]; before?: string[] } = {},
): Promise<Up> {
  const stateDir = options.stateDir ?? (await newFolder());
  const env = { POSTERN_STATE: stateDir, ...options.env };
  const running = spawnPostern(['up', ...(options.words ?? [])], env, options.before);
  await until(() => {
    if (running.child.exitCode !== null) throw new Error(`up ended: ${running.err()}`);
    return running.err().includes('Postern is up.');
  });
  await until(() => /gateway +127\.0\.0\.1:\d+/.test(running.err()));
  const port = Number(/gateway +127\.0\.0\.1:(\d+)/.exec(running.err())?.[1]);
  const url = `http://127.0.0.1:${port}`;
  return {
    ...running,
    stateDir,
    port,
    url,
    get: (route, headers = {}) => fetch(url + route, { headers }),
    cli: (...words) => cli(words, { stateDir }),
  };
}

export interface CliOptions {
  readonly stateDir?: string;
  readonly env?: Env;
  readonly input?: string;
  readonly isTerminal?: boolean;
}

/** One command in this process: its exit code and all that it wrote. */
export async function cli(words: readonly string[], options: CliOptions = {}): Promise<Ended> {
  let out = '';
  let err = '';
  const state = options.stateDir === undefined ? {} : { POSTERN_STATE: options.stateDir };
  const code = await runProgram(words, {
    writeOut: (text) => (out += text),
    writeErr: (text) => (err += text),
    readInput: () => Promise.resolve(options.input),
    isTerminal: options.isTerminal ?? false,
    isInteractive: false,
    env: { ...state, ...options.env },
  });
  return { code, out, err };
}

export async function until(look: () => boolean | Promise<boolean>, ms = runMsMax): Promise<void> {
  const end = performance.now() + ms;
  while (!(await look())) {
    if (performance.now() > end) throw new Error(`it did not happen in time: ${look.toString()}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}
