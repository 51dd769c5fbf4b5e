import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { compiled, cpuMicros, loadCore } from './rig.ts';

/** The load: wrk for as many requests as go, our own program for what is due by the clock. */

export interface Closed {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of the server for one request. */
  readonly cpuMicros: number;
}

export interface Rate {
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
}

export interface Streams {
  readonly delivered: number;
  readonly perSecond: number;
  readonly e50: number;
  readonly e99: number;
  readonly first50: number;
  readonly first99: number;
  readonly failed: number;
}

/** The bytes of one request, in a file for the program and as a script for wrk. */
export function requestFiles(
  folder: string,
  name: string,
  request: {
    readonly route: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  },
): {
  readonly bytes: Buffer;
  readonly file: string;
  readonly script: string;
  readonly route: string;
} {
  const length = String(Buffer.byteLength(request.body));
  // wrk writes Host itself.
  const headers = { 'content-type': 'application/json', ...request.headers };
  const lines = Object.entries({ host: 'localhost', ...headers, 'content-length': length });
  const head = lines.map(([field, value]) => `${field}: ${value}\r\n`).join('');
  const bytes = Buffer.from(`POST ${request.route} HTTP/1.1\r\n${head}\r\n${request.body}`);
  const file = path.join(folder, `${name}.http`);
  writeFileSync(file, bytes);
  const script = path.join(folder, `${name}.lua`);
  const lua = Object.entries(headers).map(
    ([field, value]) => `wrk.headers["${field}"] = "${value}"`,
  );
  writeFileSync(
    script,
    `wrk.method = "POST"\nwrk.body = [==[${request.body}]==]\n${lua.join('\n')}\n`,
  );
  return { bytes, file, script, route: request.route };
}

export type RequestFiles = ReturnType<typeof requestFiles>;

/** Closed loop: 64 connections, each sends its next request when it has its answer. */
export async function closedLoop(
  port: number,
  request: RequestFiles,
  options: {
    readonly seconds: number;
    readonly connections: number;
    readonly pid: number | undefined;
  },
): Promise<Closed> {
  const before = options.pid === undefined ? 0 : cpuMicros(options.pid);
  const url = `http://127.0.0.1:${port}${request.route}`;
  const out = await output('wrk', [
    '-t1',
    `-c${options.connections}`,
    `-d${options.seconds}s`,
    '--latency',
    '--timeout',
    '10s',
    '-s',
    request.script,
    url,
  ]);
  const used = options.pid === undefined ? 0 : cpuMicros(options.pid) - before;
  if (/Non-2xx|Socket errors/.test(out)) throw new Error(`port ${port}: ${out}`);
  const requests = Number(/(\d+) requests in/.exec(out)?.[1] ?? Number.NaN);
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1] ?? Number.NaN),
    p50Ms: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(out)),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(out)),
    cpuMicros: used / requests,
  };
}

const unitMs: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000 };

function milliseconds(match: RegExpExecArray | null): number {
  return Number(match?.[1]) * (unitMs[match?.[2] ?? ''] ?? Number.NaN);
}

/** Open loop: latency from the planned time, in microseconds. */
export async function atRate(
  port: number,
  request: RequestFiles,
  perSecond: number,
  seconds: number,
): Promise<Rate> {
  const out = await output(compiled('load'), [
    'rate',
    String(port),
    request.file,
    String(perSecond),
    String(seconds),
    '64',
  ]);
  // The program prints one object of numbers with these names.
  return JSON.parse(lastLine(out)) as Rate;
}

export async function streams(
  port: number,
  request: RequestFiles,
  count: number,
  seconds: number,
): Promise<Streams> {
  const out = await output(compiled('load'), [
    'streams',
    String(port),
    request.file,
    String(count),
    String(seconds),
  ]);
  // As above.
  return JSON.parse(lastLine(out)) as Streams;
}

/** Opens streams, calls `measure` while they are silent, closes them. */
export async function heldStreams<T>(
  port: number,
  request: RequestFiles,
  count: number,
  measure: () => Promise<T>,
): Promise<T> {
  const child = spawn(
    'taskset',
    ['-c', loadCore, compiled('load'), 'hold', String(port), request.file, String(count), '3600'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ended = new Promise((resolve) => {
    child.once('exit', resolve);
  });
  await new Promise<void>((resolve) => {
    child.stdout.once('data', () => resolve());
  });
  const measured = await measure();
  child.kill('SIGKILL');
  await ended;
  return measured;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

function output(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', loadCore, program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    child.stderr.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${program} ended with ${code}: ${text}`));
    });
  });
}
