/**
 * The audit log alone: what a record costs the event loop, how long the loop is held at 20,000 records a second, when a
 * record is durable, and how fast a long log verifies, by our reader and by the independent one in Python.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance, monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import type { AuditRecord } from '@postern/core/state/audit';
import type { AuditFolder } from '../packages/server/src/adapters/segment-file/index.ts';
import {
  openAuditFolder,
  readLogKey,
  verifyFolder,
} from '../packages/server/src/adapters/segment-file/index.ts';

const perSecond = 20_000;
const tickMs = 5;

/** A request as the gateway records it, some 450 bytes. */
function record(n: number): AuditRecord {
  return {
    kind: 'request',
    v: 1,
    atMs: 1_767_225_600_000 + n,
    fields: {
      attempts: 1,
      bytes: 292 + (n % 1_000),
      caller: 'key:key_01m80rm55p2cyq0gwqnwfeb0ny',
      client: '100.64.0.7',
      decision: 'policy:/grants/0/app/postern.dev~1cap~1ai/0',
      dialect: 'openai-chat',
      duration_ms: 514,
      first_byte_ms: 210,
      listener: 'tailnet',
      method: 'POST',
      model: 'instant',
      outcome: 'complete',
      path: '/v1/chat/completions',
      received_ms: 1_767_225_600_000 + n,
      request_id: '01m80rm55p2cyq0gwqnwfeb0ny',
      rule: 'policy.hujson:7',
      status: 200,
      target: 'local/llama3.2',
      tokens_input: 2 + (n % 97),
      tokens_output: 8 + (n % 31),
    },
  };
}

interface Steady {
  readonly cpuUs: number;
  readonly stallMs: number;
  readonly idleStallMs: number;
  readonly durableP50: number;
  readonly durableP99: number;
}

/** Records at a steady rate: the CPU of the thread for each, beyond that of offering nothing, and the longest stall. */
async function steady({ log }: AuditFolder, seconds: number): Promise<Steady> {
  const idle = await offer(seconds, () => undefined);
  const delays: number[] = [];
  let n = 0;
  const busy = await offer(seconds, () => {
    const started = performance.now();
    let last = 0;
    for (let i = 0; i < (perSecond * tickMs) / 1_000; i += 1) {
      const taken = log.append(record((n += 1)));
      if (taken.ok) last = taken.value;
    }
    void log.whenDurable(last).then(() => delays.push(performance.now() - started));
  });
  delays.sort((a, b) => a - b);
  const at = (share: number): number => delays[Math.floor(delays.length * share)] ?? 0;
  const cpuUs = ((busy.cpuMs - idle.cpuMs) * 1_000) / n;
  return {
    cpuUs,
    stallMs: busy.stallMs,
    idleStallMs: idle.stallMs,
    durableP50: at(0.5),
    durableP99: at(0.99),
  };
}

/** CPU of this thread, system calls of the writes in their own threads not counted, while `work` runs in its ticks. */
async function offer(
  seconds: number,
  work: () => void,
): Promise<{ readonly cpuMs: number; readonly stallMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const before = process.threadCpuUsage();
  delay.enable();
  const end = performance.now() + seconds * 1_000;
  let due = performance.now();
  while (performance.now() < end) {
    work();
    due += tickMs;
    await wait(Math.max(0, due - performance.now()));
  }
  delay.disable();
  const { user, system } = process.threadCpuUsage(before);
  return { cpuMs: (user + system) / 1_000, stallMs: delay.max / 1e6 };
}

async function fill({ log }: AuditFolder, count: number): Promise<void> {
  let index = log.mark().head.size;
  while (index < count) {
    const taken = log.append(record(index));
    if (taken.ok) index = taken.value;
    else await log.whenDurable(index);
  }
  await log.whenDurable(index);
}

export async function run(options: {
  readonly quick: boolean;
}): Promise<Readonly<Record<string, number>>> {
  const work = await mkdtemp(path.join(tmpdir(), 'postern-bench-audit-'));
  const dir = path.join(work, 'audit');
  try {
    const opened = await openAuditFolder({ dir, nowMs: Date.now });
    if (!opened.ok) throw new Error(opened.error.what);
    const folder = opened.value;
    await steady(folder, 1);
    const rate = await steady(folder, options.quick ? 3 : 10);
    await fill(folder, 1_000_000);
    await folder.checkpoint({ journal: undefined, witnesses: [] });
    const records = folder.log.mark().head.size;
    await folder.log.close();

    const key = await readLogKey(dir);
    if (key === undefined) throw new Error('no key');
    const started = performance.now();
    const cpu = process.cpuUsage();
    const verdict = await verifyFolder(dir, { key });
    const used = process.cpuUsage(cpu);
    const verifySeconds = (performance.now() - started) / 1_000;
    if (verdict.flaw !== undefined) throw new Error(verdict.flaw.what);

    const python = path.resolve(import.meta.dirname, '../tools/audit_verify.py');
    const startedPython = performance.now();
    const ran = spawnSync('python3', [python, dir], { encoding: 'utf8' });
    const pythonSeconds = ran.status === 0 ? (performance.now() - startedPython) / 1_000 : -1;

    const reopening = performance.now();
    const again = await openAuditFolder({ dir, nowMs: Date.now });
    const openMs = performance.now() - reopening;
    if (again.ok) await again.value.log.close();

    const figures = {
      cpu_us_per_record: rate.cpuUs,
      loop_stall_ms_max: rate.stallMs,
      loop_stall_idle_ms_max: rate.idleStallMs,
      durable_p50_ms: rate.durableP50,
      durable_p99_ms: rate.durableP99,
      records,
      verify_seconds: verifySeconds,
      verify_cpu_seconds: (used.user + used.system) / 1e6,
      verify_python_seconds: pythonSeconds,
      open_ms: openMs,
    };
    for (const [name, value] of Object.entries(figures)) {
      console.log(`${name.padEnd(24)} ${value.toFixed(2)}`);
    }
    return Object.fromEntries(
      Object.entries(figures).map(([name, value]) => [name, Math.round(value * 100) / 100]),
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
