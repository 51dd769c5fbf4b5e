/**
 * What the gateway costs beside others, in one run: whole answers in a closed loop, latency at a fixed rate, 1,000
 * paced streams, idle streams. The server under test is alone on one core; load and mock upstream share the other.
 * Everything that Postern has is on: a key, a policy, the access log.
 */
import process from 'node:process';
import type { Closed, Rate, Streams } from './gateway/load.ts';
import { atRate, closedLoop, heldStreams, streams } from './gateway/load.ts';
import type { Field, Peer } from './gateway/peers.ts';
import { openField } from './gateway/peers.ts';
import { cpuMicros, median, residentKb, sleep } from './gateway/rig.ts';

/** A server that was the limit itself had its core for itself; with less of it the mock or the load was. */
const busyMin = 0.9;
const connections = 64;
const rate = 200;
const streamsCount = 1_000;
const idleCount = 5_000;
const streamWarmSeconds = 1;

interface Effort {
  readonly warmSeconds: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly streamRounds: number;
  readonly streamSeconds: number;
  readonly rateSeconds: number;
}

const effort = {
  quick: {
    warmSeconds: 0.75,
    rounds: 2,
    seconds: 1,
    streamRounds: 1,
    streamSeconds: 2,
    rateSeconds: 0,
  },
  whole: {
    warmSeconds: 2.5,
    rounds: 7,
    seconds: 3,
    streamRounds: 5,
    streamSeconds: 4,
    rateSeconds: 4,
  },
} as const satisfies Readonly<Record<string, Effort>>;

/** `BENCH_ONLY=nginx,postern` leaves the other peers out, while something is worked on. */
function onlySome(): readonly string[] | undefined {
  const only = process.env['BENCH_ONLY'];
  return only === undefined || only === '' ? undefined : only.split(',');
}

export async function run({ quick }: { readonly quick: boolean }): Promise<Record<string, number>> {
  const field = await openField(onlySome());
  try {
    for (const missing of field.missing) console.log(`not measured: ${missing}`);
    return await measure(field, quick ? effort.quick : effort.whole);
  } finally {
    await field.close();
  }
}

async function measure({ peers }: Field, work: Effort): Promise<Record<string, number>> {
  const closed = await closedRounds(peers, work);
  showClosed(closed);
  judgeLimits(closed);
  if (work.rateSeconds > 0) showRates(await rates(peers, work));
  const streamed = await streamRounds(peers, work);
  showStreams(streamed);
  const idle = await idleStreams(
    work.rateSeconds > 0 ? peers : peers.filter(({ name }) => name === 'postern'),
  );
  /** What the targets are about. */
  const floors = (ours: string) => ({
    nginx: ratio(closed, ours, 'nginx', perSecond),
    portkey: ratio(closed, ours, 'portkey', perSecond),
    firstByteOverNginx: ratio(streamed, ours, 'nginx', (one) => one.first50),
    streamsDelivered: median((streamed.get(ours) ?? []).map((one) => one.delivered)),
    kbPerIdleStream: idle.get(ours) ?? Number.NaN,
  });
  const metered = floors('metered');
  return rounded({
    ...floors('postern'),
    haproxy: ratio(closed, 'postern', 'haproxy', perSecond),
    litellm: ratio(closed, 'postern', 'litellm', perSecond),
    cpuOverNginx: ratio(closed, 'postern', 'nginx', (one) => one.cpuMicros),
    direct: 1 / ratio(closed, 'nginx', 'direct', perSecond),
    meteredNginx: metered.nginx,
    meteredPortkey: metered.portkey,
    meteredFirstByteOverNginx: metered.firstByteOverNginx,
    meteredStreamsDelivered: metered.streamsDelivered,
    meteredKbPerIdleStream: metered.kbPerIdleStream,
  });
}

const perSecond = (one: Closed): number => one.perSecond;

type Rounds<T> = ReadonlyMap<string, readonly T[]>;

/** Throws where the figures of somebody say how fast the mock upstream or the load is. */
function judgeLimits(closed: Rounds<Closed>): void {
  for (const [name, rounds] of closed) {
    const busy = median(rounds.map((one) => (one.perSecond * one.cpuMicros) / 1e6));
    if (name !== 'direct' && busy < busyMin) {
      const percent = Math.round(100 * busy);
      throw new Error(`${name} used ${percent} % of its core: the mock or the load was the limit`);
    }
  }
}

/** Those on Node become fast only after tens of thousands of requests. */
const compiledLate: ReadonlySet<string> = new Set(['portkey', 'postern', 'metered', 'litellm']);

/** Everybody's turn once a round, in order, so that a slow minute of the machine is everybody's. */
async function closedRounds(peers: readonly Peer[], work: Effort): Promise<Rounds<Closed>> {
  const rounds = new Map<string, Closed[]>(peers.map(({ name }) => [name, []]));
  for (const peer of peers) {
    if (peer.pid !== undefined)
      await closedLoop(peer.port, peer.json, {
        seconds: Math.ceil(work.warmSeconds * (compiledLate.has(peer.name) ? 4 : 1)),
        connections,
        pid: peer.pid,
      });
  }
  for (let round = 0; round < work.rounds; round += 1) {
    for (const { name, port, json, pid } of peers) {
      rounds
        .get(name)
        ?.push(await closedLoop(port, json, { seconds: work.seconds, connections, pid }));
    }
  }
  return rounds;
}

async function rates(peers: readonly Peer[], work: Effort): Promise<ReadonlyMap<string, Rate>> {
  const found = new Map<string, Rate>();
  for (const { name, port, json } of peers)
    found.set(name, await atRate(port, json, rate, work.rateSeconds));
  return found;
}

type Streamed = Streams & { readonly cpuPerEvent: number };

async function streamRounds(peers: readonly Peer[], work: Effort): Promise<Rounds<Streamed>> {
  const able = peers.filter(({ streamPort }) => streamPort !== undefined);
  const rounds = new Map<string, Streamed[]>(able.map(({ name }) => [name, []]));
  // As with whole answers: a round that nobody counts, for everybody.
  for (const { streamPort, stream } of able) {
    await streams(streamPort ?? 0, stream, streamsCount, streamWarmSeconds);
    await sleep(300);
  }
  for (let round = 0; round < work.streamRounds; round += 1) {
    for (const { name, streamPort, stream, pid } of able) {
      const before = pid === undefined ? 0 : cpuMicros(pid);
      const got = await streams(streamPort ?? 0, stream, streamsCount, work.streamSeconds);
      const used = pid === undefined ? 0 : cpuMicros(pid) - before;
      // The ramp delivers about one second of all streams.
      const events = got.perSecond * (work.streamSeconds + 0.75);
      rounds.get(name)?.push({ ...got, cpuPerEvent: used / events });
      await sleep(300);
    }
  }
  return rounds;
}

/** Growth of the resident memory while streams stand open, for each of them. */
async function idleStreams(peers: readonly Peer[]): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const { name, streamPort, idle, pid } of peers) {
    if (pid === undefined || streamPort === undefined || name === 'haproxy') continue;
    await sleep(500);
    const before = residentKb(pid);
    const after = await heldStreams(streamPort, idle, idleCount, async () => {
      await sleep(1_500);
      return residentKb(pid);
    });
    found.set(name, (after - before) / idleCount);
    console.log(
      `idle streams    ${name.padEnd(8)} ${idleCount}: ${before} KB -> ${after} KB, ${((after - before) / idleCount).toFixed(1)} KB each`,
    );
  }
  return found;
}

/** The median of the rounds' own ratios; absent peers give NaN, which JSON shows as null. */
function ratio<T>(
  rounds: Rounds<T>,
  ours: string,
  theirs: string,
  figure: (one: T) => number,
): number {
  const others = rounds.get(theirs) ?? [];
  return median(
    (rounds.get(ours) ?? []).map((one, at) => {
      const other = others[at];
      return other === undefined ? Number.NaN : figure(one) / figure(other);
    }),
  );
}

function rounded(figures: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(figures).flatMap(([name, value]) =>
      Number.isNaN(value) ? [] : [[name, Number(value.toFixed(3))]],
    ),
  );
}

function showClosed(rounds: Rounds<Closed>): void {
  console.log(
    `\nwhole answers   req/s   p50 ms   p99 ms   CPU us/req   (1 KB, ${connections} connections)`,
  );
  for (const [name, all] of rounds) {
    const mid = (figure: (one: Closed) => number): number => median(all.map(figure));
    console.log(
      `${name.padEnd(12)} ${mid((one) => one.perSecond)
        .toFixed(0)
        .padStart(8)} ${mid((one) => one.p50Ms)
        .toFixed(2)
        .padStart(8)} ${mid((one) => one.p99Ms)
        .toFixed(2)
        .padStart(8)} ${mid((one) => one.cpuMicros)
        .toFixed(1)
        .padStart(12)}`,
    );
  }
}

function showRates(found: ReadonlyMap<string, Rate>): void {
  console.log(`\nat ${rate}/s       p50 us   p99 us`);
  for (const [name, one] of found) {
    console.log(
      `${name.padEnd(12)} ${one.p50.toFixed(0).padStart(9)} ${one.p99.toFixed(0).padStart(8)}${one.failed > 0 ? `  ${one.failed} failed` : ''}`,
    );
  }
}

function showStreams(rounds: Rounds<Streamed>): void {
  console.log(
    `\n${streamsCount} streams  delivered  first p50/p99 ms   event p50 us / p99 ms   CPU us/event`,
  );
  for (const [name, all] of rounds) {
    const mid = (figure: (one: Streamed) => number): number => median(all.map(figure));
    const failed = all.reduce((sum, one) => sum + one.failed, 0);
    console.log(
      `${name.padEnd(12)} ${(mid((one) => one.delivered) * 100).toFixed(1).padStart(8)}%  ${(mid((one) => one.first50) / 1e3).toFixed(2).padStart(8)} / ${(mid((one) => one.first99) / 1e3).toFixed(2)}   ${mid(
        (one) => one.e50,
      )
        .toFixed(0)
        .padStart(8)} / ${(mid((one) => one.e99) / 1e3).toFixed(1)}   ${mid(
        (one) => one.cpuPerEvent,
      )
        .toFixed(1)
        .padStart(8)}${failed > 0 ? `   ${failed} failed` : ''}`,
    );
  }
}
