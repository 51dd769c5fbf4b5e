import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';

const entry = path.resolve(import.meta.dirname, '../packages/postern/bin/postern.js');
const port = 18_099;

/** What a person waits for: `--help`, `up` until /health answers, and the memory of the idle process a while later. */
export async function run({ quick }: { readonly quick: boolean }): Promise<Record<string, number>> {
  const rounds = quick ? 5 : 15;
  const help: number[] = [];
  const bare: number[] = [];
  const ready: number[] = [];
  const idleMb: number[] = [];
  for (let i = 0; i < rounds; i += 1) {
    bare.push(timed(() => execFileSync(process.execPath, ['-e', '0'])));
    help.push(timed(() => execFileSync(process.execPath, [entry, '--help'])));
    const up = await startOnce(quick ? 1_000 : 5_000);
    ready.push(up.readyMs);
    idleMb.push(up.idleMb);
  }
  const figures = {
    node_bare_ms: median(bare),
    help_ms: median(help),
    up_ready_ms: median(ready),
    idle_rss_mb: median(idleMb),
  };
  console.log('figure            median');
  for (const [name, value] of Object.entries(figures))
    console.log(`${name.padEnd(16)}  ${value.toFixed(1)}`);
  return { ...figures, help_to_node: figures.help_ms / figures.node_bare_ms };
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

async function startOnce(idleMs: number): Promise<{ readyMs: number; idleMb: number }> {
  const state = mkdtempSync(path.join(tmpdir(), 'postern-bench-'));
  const start = performance.now();
  const child = spawn(process.execPath, [entry, 'up'], {
    env: { ...process.env, POSTERN_STATE: state, PORT: String(port) },
    stdio: 'ignore',
  });
  try {
    while (!(await healthy())) await sleep(5);
    const readyMs = performance.now() - start;
    await sleep(idleMs);
    return { readyMs, idleMb: rssMb(child.pid ?? 0) };
  } finally {
    child.kill('SIGTERM');
    await new Promise((resolve) => {
      child.once('exit', resolve);
    });
    rmSync(state, { recursive: true });
  }
}

function healthy(): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get(
      { host: '127.0.0.1', port, path: '/health', agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    request.on('error', () => resolve(false));
  });
}

function rssMb(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? Number.NaN) / 1_024;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
