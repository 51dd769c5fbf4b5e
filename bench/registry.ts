/**
 * The registry of a whole `postern up` on one core (where `taskset` is there), asked over HTTP from the others: how fast
 * heartbeats become durable, how long discovery takes at a page of 100, how long a change takes to 1,000 watchers.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { cpus, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';

const main = path.resolve(import.meta.dirname, '../packages/postern/src/main.ts');
const host = '127.0.0.1';
const perType = 100;
/** One credential may own 10,000. */
const ownedMax = 10_000;
/** Connections that ask side by side: heartbeats wait for the disk together. */
const lanes = 256;
const watchers = 1_000;
/** Changes, of each of which the slowest watcher counts. */
const changes = 20;

export async function run({
  quick,
}: {
  readonly quick: boolean;
}): Promise<Readonly<Record<string, number>>> {
  // With the one that is watched they are 1,000, and the registry has room for 100,000 nodes.
  const types = quick ? 100 : 999;
  const beats = quick ? 20_000 : 100_000;
  const asks = quick ? 2_000 : 20_000;
  const dir = await mkdtemp(path.join(tmpdir(), 'postern-registry-'));
  const port = 20_000 + (process.pid % 10_000);
  const child = await start(dir, port);
  try {
    const keys = Array.from({ length: Math.ceil((types * perType) / ownedMax) }, (_, at) =>
      key(dir, `boxes-${at}`),
    );
    const registered = await fill(port, keys, types);
    const beaten = await heartbeats(port, keys, types, beats);
    const asked = await discover(port, keys[0] ?? '', types, asks);
    const told = await fanOut(port, key(dir, 'watched'));
    const rows = [
      ['nodes', `${types} types × ${perType}`],
      ['registrations/s', registered.perSecond.toFixed(0)],
      ['durable heartbeats/s', beaten.perSecond.toFixed(0)],
      ['  for each second of CPU, all threads', beaten.perCpuSecond.toFixed(0)],
      ['  p50 / p99', `${beaten.p50.toFixed(2)} / ${beaten.p99.toFixed(2)} ms`],
      ['discover, page 100: p50 / p99', `${asked.p50.toFixed(2)} / ${asked.p99.toFixed(2)} ms`],
      [
        '  CPU of an answer',
        `${(1_000 / asked.perCpuSecond).toFixed(2)} ms for ${asked.bytes} bytes`,
      ],
      [
        `to ${watchers} watchers, the last: p50 / max`,
        `${told.p50.toFixed(1)} / ${told.max.toFixed(1)} ms`,
      ],
      ['memory of the process', `${memoryMb(child)} MB`],
      [
        'load of the machine',
        loadavg()
          .map((each) => each.toFixed(1))
          .join(' '),
      ],
    ];
    for (const [what = '', figure = ''] of rows) console.log(`${what.padEnd(44)} ${figure}`);
    return {
      registrationsPerSecond: Math.round(registered.perSecond),
      heartbeatsPerSecond: Math.round(beaten.perSecond),
      heartbeatsPerCpuSecond: Math.round(beaten.perCpuSecond),
      discoverP50Ms: round(asked.p50),
      discoverP99Ms: round(asked.p99),
      discoverCpuMs: round(1_000 / asked.perCpuSecond),
      fanOutMs: round(told.p50),
      fanOutMaxMs: round(told.max),
    };
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await rm(dir, { recursive: true, force: true });
  }
}

async function start(dir: string, port: number): Promise<ChildProcess> {
  const config = {
    registry: { address: `${host}:${port}` },
    limits: { connections: 5_000, connectionsPerSource: 5_000 },
  };
  await writeFile(path.join(dir, 'postern.hujson'), JSON.stringify(config), { mode: 0o600 });
  // The last core is the server's; what asks stays on the others.
  const core = String(cpus().length - 1);
  const isPinned = cpus().length > 1 && spawnSync('taskset', ['-c', core, 'true']).status === 0;
  if (isPinned)
    execFileSync('taskset', ['-a', '-p', '-c', `0-${cpus().length - 2}`, String(process.pid)]);
  const words = [process.execPath, main, 'up', '--log', 'json', '--log-level', 'error'];
  const [program = '', ...args] = isPinned ? ['taskset', '-c', core, ...words] : words;
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, POSTERN_STATE: dir, PORT: '0', POSTERN_ADMIN_ADDR: `${host}:0` },
  });
  process.once('exit', () => child.kill('SIGKILL'));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  for (let waitedMs = 0; !said.includes('Postern is up.'); waitedMs += 50) {
    if (waitedMs > 30_000 || child.exitCode !== null) throw new Error(said);
    await new Promise((done) => setTimeout(done, 50));
  }
  return child;
}

function key(dir: string, name: string): string {
  const env = { ...process.env, POSTERN_STATE: dir };
  const words = [main, 'key', 'create', name, '--join', '*'];
  return execFileSync(process.execPath, words, { env, encoding: 'utf8' }).trim();
}

const uuidOf = (type: number, node: number): string => `n-${type}-${node}`;
const keyOf = (keys: readonly string[], type: number): string =>
  keys[Math.floor((type * perType) / ownedMax)] ?? '';
const api = '/api/v1/registry';

/** Real time from the first byte asked to the last byte answered. */
class Lane {
  readonly #socket: Socket;
  #text = '';
  #done: (() => void) | undefined;
  #bodyBytes = 0;

  constructor(port: number) {
    this.#socket = connect(port, host).setNoDelay(true).setEncoding('latin1');
    this.#socket.on('data', (text: string) => {
      this.#text += text;
      const end = this.#text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(this.#text)?.[1] ?? 0);
      if (this.#text.length < end + 4 + length) return;
      if (!this.#text.startsWith('HTTP/1.1 200')) throw new Error(this.#text);
      this.#bodyBytes = length;
      this.#text = '';
      this.#done?.();
    });
  }

  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  async ask(method: string, target: string, secret: string, body = ''): Promise<number> {
    const startMs = performance.now();
    const answered = new Promise<void>((done) => {
      this.#done = done;
    });
    this.#socket.write(
      `${method} ${target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${secret}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    await answered;
    return performance.now() - startMs;
  }

  close(): void {
    this.#socket.destroy();
  }
}

interface Figures {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** What one core does, whatever else the machine had to do. */
  readonly perCpuSecond: number;
  readonly bytes: number;
}

/** `count` questions, shared by lanes. */
async function ask(
  port: number,
  count: number,
  side: number,
  question: (lane: Lane, at: number) => Promise<number>,
): Promise<Figures> {
  const all = Array.from({ length: side }, () => new Lane(port));
  const times: number[] = [];
  let next = 0;
  const pid = serverPid(port);
  const before = cpuSeconds(pid);
  const startMs = performance.now();
  await Promise.all(
    all.map(async (lane) => {
      while (next < count) {
        const at = next;
        next += 1;
        // oxlint-disable-next-line no-await-in-loop -- a lane asks one thing after the other
        times.push(await question(lane, at));
      }
    }),
  );
  const tookMs = performance.now() - startMs;
  const perCpuSecond = count / Math.max(cpuSeconds(pid) - before, 0.01);
  const bytes = all[0]?.bodyBytes ?? 0;
  for (const lane of all) lane.close();
  return { perSecond: (count / tookMs) * 1_000, perCpuSecond, bytes, ...spread(times) };
}

function spread(times: number[]): Pick<Figures, 'p50' | 'p99' | 'max'> {
  const sorted = times.toSorted((a, b) => a - b);
  const of = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)] ?? 0;
  return { p50: of(0.5), p99: of(0.99), max: of(1) };
}

function fill(port: number, keys: readonly string[], types: number) {
  return ask(port, types * perType, lanes, (lane, at) => {
    const [type, node] = [Math.floor(at / perType), at % perType];
    const body = {
      node_type: `type-${type}`,
      hostname: `n-${type}-${node}.mesh.internal`,
      addresses: [`100.${64 + (type >> 8)}.${type & 255}.${node}`],
      port: 8_000,
      lease_seconds: 3_600,
    };
    return lane.ask(
      'PUT',
      `${api}/nodes/${uuidOf(type, node)}`,
      keyOf(keys, type),
      JSON.stringify(body),
    );
  });
}

function heartbeats(port: number, keys: readonly string[], types: number, count: number) {
  return ask(port, count, lanes, (lane, at) => {
    const [type, node] = [Math.floor(at / perType) % types, at % perType];
    return lane.ask(
      'POST',
      `${api}/nodes/${uuidOf(type, node)}/heartbeat`,
      keyOf(keys, type),
      '{"healthy":true}',
    );
  });
}

function discover(port: number, secret: string, types: number, count: number) {
  return ask(port, count, 4, (lane, at) =>
    lane.ask('GET', `${api}/discover/type-${(at * 7) % types}?limit=100`, secret),
  );
}

/** Watchers of one type; a node joins it again and again. */
async function fanOut(port: number, secret: string): Promise<Pick<Figures, 'p50' | 'max'>> {
  const counts = new Map<string, number>();
  let wake = (): void => undefined;
  const sockets = await Promise.all(
    Array.from({ length: watchers }, async () => {
      const socket = connect(port, host).setEncoding('latin1');
      await once(socket, 'connect');
      socket.write(
        `GET ${api}/watch?type=watched HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${secret}\r\n\r\n`,
      );
      const ready = new Promise<void>((done) => {
        socket.on('data', (text: string) => {
          if (text.includes('event: ready')) done();
          for (const [, uuid = ''] of text.matchAll(/event: joined\ndata: \{"uuid":"(w-\d+)"/g)) {
            counts.set(uuid, (counts.get(uuid) ?? 0) + 1);
            if (counts.get(uuid) === watchers) wake();
          }
        });
      });
      await ready;
      return socket;
    }),
  );
  const lane = new Lane(port);
  const times: number[] = [];
  for (let at = 0; at < changes; at += 1) {
    const body = { node_type: 'watched', hostname: 'w', addresses: ['100.64.9.9'], port: 1 };
    const all = new Promise<void>((done) => {
      wake = done;
    });
    const startMs = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- one change after the other
    await lane.ask('PUT', `${api}/nodes/w-${at}`, secret, JSON.stringify(body));
    // oxlint-disable-next-line no-await-in-loop -- and each is waited for
    await all;
    times.push(performance.now() - startMs);
  }
  lane.close();
  for (const socket of sockets) socket.destroy();
  return spread(times);
}

/** The process behind the port, also where `taskset` started it: it becomes the program. */
function serverPid(port: number): number {
  const said = spawnSync('ss', ['-Hltnp', `sport = :${port}`], { encoding: 'utf8' }).stdout;
  return Number(/pid=(\d+)/.exec(said ?? '')?.[1] ?? 0);
}

function cpuSeconds(pid: number): number {
  if (pid === 0) return 0;
  const stat = execFileSync('cat', [`/proc/${pid}/stat`], { encoding: 'utf8' });
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function memoryMb({ pid = 0 }: ChildProcess): string {
  const status = spawnSync('cat', [`/proc/${pid}/status`], { encoding: 'utf8' }).stdout;
  const kb = Number(/VmRSS:\s+(\d+)/.exec(status ?? '')?.[1] ?? 0);
  return (kb / 1_024).toFixed(0);
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
