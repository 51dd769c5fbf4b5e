import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { cache, cpuMicros, loadCore } from '../gateway/rig.ts';

/** Where load goes, as whom, and whose processor time is counted. */
export interface LoadTarget {
  readonly port: number;
  /** PEM files of the client; undefined: plain TCP. */
  readonly client: { readonly certificate: string; readonly key: string } | undefined;
  readonly requestFile: string;
  readonly pid: number | undefined;
}

export interface LoadPlan extends LoadTarget {
  readonly mode: 'kept' | 'handshake';
  readonly connections: number;
  readonly seconds: number;
}

export interface Loaded {
  readonly perSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** Processor time of the server for one request. */
  readonly cpuMicros: number;
  readonly failed: number;
}

export async function load(plan: LoadPlan): Promise<Loaded> {
  const { mode, port, client, requestFile, connections, seconds, pid } = plan;
  const before = pid === undefined ? 0 : cpuMicros(pid);
  const out = await output([
    mode,
    String(port),
    client?.certificate ?? '-',
    client?.key ?? '-',
    requestFile,
    String(connections),
    String(seconds),
  ]);
  const used = pid === undefined ? 0 : cpuMicros(pid) - before;
  // The program prints one object of numbers with these names.
  const said = JSON.parse(out) as Omit<Loaded, 'cpuMicros'> & { readonly done: number };
  if (said.failed > said.done / 100) throw new Error(`${said.failed} requests failed: ${out}`);
  const { perSecond, p50Micros, p99Micros, done, failed } = said;
  return { perSecond, p50Micros, p99Micros, failed, cpuMicros: used / done };
}

function program(): string {
  mkdirSync(cache, { recursive: true });
  const source = path.join(import.meta.dirname, 'tls-load.c');
  const target = path.join(cache, 'tls-load');
  if (!existsSync(target) || statSync(target).mtimeMs < statSync(source).mtimeMs) {
    execFileSync('gcc', ['-O2', '-D_GNU_SOURCE', '-o', target, source, '-lssl', '-lcrypto']);
  }
  return target;
}

function output(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', loadCore, program(), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    let problems = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    child.stderr.setEncoding('utf8').on('data', (piece: string) => (problems += piece));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0 && text !== '') resolve(text);
      else reject(new Error(`tls-load ended with ${code}: ${problems.slice(0, 1_000)}`));
    });
  });
}
