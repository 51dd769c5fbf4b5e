/**
 * What a network costs its control server, ours against a real Headscale on the same machine in the same run. The
 * same load generator (a process of its own, whose work is not counted) joins N machines side by side to each:
 * time and CPU until all have joined and all see all, time until one changed endpoint has reached everybody, CPU and
 * memory when nothing happens, time and CPU until all are back after everybody lost the connection at once. Ours
 * writes every join durably (SQLite, FULL); both run with their defaults.
 *
 * The last line has ratios, ours ÷ theirs: `join 500` = 0.2 means a fifth of the time.
 * What was not done in time counts as the bound: such a ratio is in the slower one's favour, and the table says `over`.
 */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { startHeadscale } from '../test/tailnet/headscale.ts';
import { Load } from '../test/tailnet/load.ts';
import { PosternServer } from '../test/tailnet/postern-server.ts';
import { programs } from '../test/tailnet/programs.ts';

interface Server {
  readonly url: string;
  readonly pid: number;
  readonly key: string;
  stop(): Promise<void>;
}

interface Measured {
  readonly joinMs: number;
  readonly joinCpuMs: number;
  readonly changeMs: number;
  /** Streams that the server ended by itself while machines joined. */
  readonly reconnects: number;
  /** Machines that had not seen all, or a change after half a minute, when the time was over. */
  readonly missedMax: number;
  readonly idleCpuMsPerSecond: number;
  readonly kilobytesPerClient: number;
  readonly rejoinMs: number;
  readonly rejoinCpuMs: number;
  /** Machines that were not back when the time was over. */
  readonly rejoinMissed: number;
}

/** How many machines join at a time: a site that comes back after an outage. */
const atOnce = 16;
const changes = 9;
/** What takes longer counts as this long: the ratio is then a bound in the slower one's favour. */
const joinMsMax = 300_000;
const rejoinMsMax = 120_000;
/** Until the work of a start is over. */
const startMs = 8_000;
/** A keepalive of every machine falls into a minute. */
const idleMsWhole = 60_000;
/** `sysconf(_SC_CLK_TCK)` on Linux. */
const tickMs = 10;

export async function run({ quick }: { quick: boolean }): Promise<Record<string, number>> {
  const headscale = await programs('headscale');
  if (!headscale.found) throw new Error(`bench coordination: ${headscale.why}`);
  const chosen = process.env['POSTERN_BENCH_MACHINES']?.split(',').map(Number);
  const sizes = chosen ?? (quick ? [50] : [100, 500, 1_000]);
  const idleMs = quick ? 3_000 : idleMsWhole;
  // The kernel counts in ticks: below one tick nothing can be said.
  const leastCpu = (tickMs * 1000) / idleMs;
  const ratios: Record<string, number> = {};
  print([
    'machines',
    'server',
    'join ms',
    'join CPU ms',
    'change ms',
    'idle CPU ms/s',
    'KiB each',
    'all back ms',
    'back CPU ms',
    'ended streams',
    'missed',
  ]);
  for (const size of sizes) {
    const theirs = await measure(() => theirServer(headscale.folder), size, idleMs);
    print([String(size), 'headscale', ...cells(theirs)]);
    const ours = await measure(ourServer, size, idleMs);
    print([String(size), 'postern', ...cells(ours)]);
    ratios[`join ${size}`] = ratio(ours.joinMs, theirs.joinMs);
    ratios[`join CPU ${size}`] = ratio(ours.joinCpuMs, theirs.joinCpuMs);
    ratios[`change ${size}`] = ratio(ours.changeMs, theirs.changeMs);
    ratios[`idle CPU ${size}`] = ratio(
      Math.max(ours.idleCpuMsPerSecond, leastCpu),
      Math.max(theirs.idleCpuMsPerSecond, leastCpu),
    );
    ratios[`memory ${size}`] = ratio(ours.kilobytesPerClient, theirs.kilobytesPerClient);
    ratios[`rejoin ${size}`] = ratio(ours.rejoinMs, theirs.rejoinMs);
    ratios[`rejoin CPU ${size}`] = ratio(ours.rejoinCpuMs, theirs.rejoinCpuMs);
  }
  return ratios;
}

async function theirServer(folder: string): Promise<Server> {
  const server = await startHeadscale(folder);
  return {
    url: server.url,
    pid: server.pid,
    key: await server.createKey(),
    stop: () => server.stop(),
  };
}

async function ourServer(): Promise<Server> {
  const server = await PosternServer.start({ withoutRelay: true });
  // What Headscale does without a policy.
  await server.applyPolicy({ grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }] });
  return {
    url: server.url,
    pid: server.pid,
    key: await server.createKey(),
    stop: () => server.stop(),
  };
}

async function measure(
  start: () => Promise<Server>,
  count: number,
  idleMs: number,
): Promise<Measured> {
  const server = await start();
  const load = Load.start();
  try {
    // A start leaves memory behind, which is not the machines'.
    await sleep(startMs);
    await settled(server.pid);
    const before = await costOf(server.pid);
    const { url, key } = server;
    const { allSeeAllMs, reconnects, behind } = await load.join({
      url,
      key,
      count,
      atOnce,
      withinMs: joinMsMax,
    });
    const joined = await costOf(server.pid);
    await settled(server.pid);
    const times: number[] = [];
    let missedMax = behind;
    for (let i = 0; i < changes; i += 1) {
      await sleep(100);
      const { allMs, missed } = await load.change(i % count);
      times.push(allMs);
      missedMax = Math.max(missedMax, missed);
      if (missed > 0) break;
    }
    await settled(server.pid);
    const idle = await costOf(server.pid);
    await sleep(idleMs);
    const after = await costOf(server.pid);
    const back = await load.rejoin({ atOnce: count, withinMs: rejoinMsMax });
    const rejoined = await costOf(server.pid);
    times.sort((a, b) => a - b);
    return {
      joinMs: allSeeAllMs,
      joinCpuMs: joined.cpuMs - before.cpuMs,
      reconnects,
      missedMax,
      changeMs: times[times.length >> 1] ?? Number.NaN,
      idleCpuMsPerSecond: ((after.cpuMs - idle.cpuMs) * 1000) / idleMs,
      kilobytesPerClient: Math.max(1, (after.kilobytes - before.kilobytes) / count),
      rejoinMs: back.allSeeAllMs,
      rejoinCpuMs: rejoined.cpuMs - after.cpuMs,
      rejoinMissed: back.behind,
    };
  } finally {
    await load.stop();
    await server.stop();
  }
}

/** Waits until the server has come to rest after the joins, at most a minute. */
async function settled(pid: number): Promise<void> {
  for (let i = 0; i < 30; i += 1) {
    const before = await costOf(pid);
    await sleep(2_000);
    if ((await costOf(pid)).cpuMs - before.cpuMs <= 2 * tickMs) return;
  }
}

/** User and system time, and resident memory, of a process as the kernel counts them. */
async function costOf(
  pid: number,
): Promise<{ readonly cpuMs: number; readonly kilobytes: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  return { cpuMs: ticks * tickMs, kilobytes };
}

function cells(measured: Measured): readonly string[] {
  const { joinMs, joinCpuMs, changeMs, idleCpuMsPerSecond, kilobytesPerClient } = measured;
  const { rejoinMs, rejoinCpuMs, rejoinMissed, reconnects, missedMax } = measured;
  return [
    bounded(joinMs, joinMs >= joinMsMax),
    ...[joinCpuMs, changeMs, idleCpuMsPerSecond, kilobytesPerClient].map(shown),
    bounded(rejoinMs, rejoinMissed > 0),
    shown(rejoinCpuMs),
    String(reconnects),
    String(missedMax),
  ];
}

function bounded(ms: number, isOver: boolean): string {
  return isOver ? `over ${shown(ms)}` : shown(ms);
}

function shown(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0);
}

function print(row: readonly string[]): void {
  process.stdout.write(`${row.map((cell) => cell.padStart(14)).join('')}\n`);
}

/** Both sides may be below what can be measured. */
function ratio(ours: number, theirs: number): number {
  return Number((Math.max(ours, 0.1) / Math.max(theirs, 0.1)).toPrecision(3));
}
