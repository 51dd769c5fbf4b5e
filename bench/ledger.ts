/**
 * What money and limits cost a request in the gateway's thread: its terms, three limits, a price, a reservation in two budgets, a
 * settlement, the history, and the audit record; with the state file and the log on disk as they are in use.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay, performance, PerformanceObserver } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import type { Conversation, Usage } from '@postern/core/dialect';
import type { Caller } from '@postern/core/identity';
import { priceSnapshot } from '@postern/core/price/snapshot';
import { openPriceBook } from '@postern/core/price';
import { createMemoryLimits } from '@postern/server/adapters/limits-memory';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
import { createNodeSystem } from '@postern/server/adapters/system-node';
import { Ledger, Purse, takeLimits, Tariffs, Terms } from '@postern/server/gateway/money';
import type { Settlement } from '@postern/server/observe';
import { createLogger } from '@postern/server/observe';
import { RequestCounts } from '@postern/server/observe/metrics';
import { openAuditTrail } from '../packages/server/src/app/audit.ts';
import { createFakeExchange } from '../test/fakes/exchange.ts';

const caller: Caller = {
  subject: {
    authority: 'tailnet',
    id: 'u1',
    kind: 'user',
    display: 'ann',
    selectors: ['ann@example.com', 'group:research'],
  },
};
const usage: Usage = {
  input: 900,
  cacheRead: 300,
  cacheWrite: 0,
  cacheWriteHour: 0,
  output: 240,
  reasoning: 60,
};
const conversation: Conversation = {
  model: 'openai/gpt-5',
  stream: true,
  streamUsage: true,
  system: [{ kind: 'text', text: 'You are terse. '.repeat(20) }],
  messages: [
    { role: 'user', content: [{ kind: 'text', text: 'Why is my build slow? '.repeat(60) }] },
  ],
  tools: [],
  extensions: { dialect: 'openai-chat', fields: {} },
};

/** Requests that run side by side, as they do in a gateway. */
const lanes = 64;
/** Of which the median counts. */
const rounds = 5;

export async function run({
  quick,
}: {
  readonly quick: boolean;
}): Promise<Readonly<Record<string, number>>> {
  const requests = quick ? 200_000 : 1_000_000;
  const stateDir = await mkdtemp(path.join(tmpdir(), 'postern-bench-ledger-'));
  const store = await openSqliteStore(stateDir);
  if (!store.ok) throw new Error(store.error.message);
  const system = createNodeSystem();
  const clock = {
    nowMs: system.nowMs,
    after: (ms: number, callback: () => void) => {
      const timer = setTimeout(callback, ms);
      return { clear: () => clearTimeout(timer) };
    },
  };
  const logger = createLogger({ level: 'error', format: 'json', write: () => undefined });
  const trail = await openAuditTrail({ stateDir, logger, clock, sha256Hex: system.sha256Hex });
  if (!trail.ok) throw new Error(trail.error);
  const ledger = new Ledger({ bank: store.value.bank, process: 'bench', clock, staleAfterMs: 0 });
  await ledger.begin();
  const terms = new Terms({
    budgets: {
      everyone: { usd: 9_000_000, every: 'month', refill: 'boundary', per: 'all', match: ['*'] },
      personal: { usd: 9_000_000, every: 'day', refill: 'steady', per: 'user', match: ['*'] },
    },
    limits: {
      fair: {
        requestsPerMinute: 1_000_000_000,
        tokensPerMinute: 1_000_000_000,
        concurrent: 1_000,
        per: 'user',
        match: ['*'],
      },
    },
  });
  const tariffs = new Tariffs({
    book: () => Promise.resolve(openPriceBook(priceSnapshot)),
    site: () => ({ kind: 'vendor', vendor: 'openai' }),
    hasOverrides: false,
    unknown: 'refuse',
    nowMs: system.nowMs,
  });
  const limits = createMemoryLimits({ nowMs: system.nowMs });
  const money = {
    tariffs,
    limits,
    ledger: () => ledger,
    whenDown: 'refuse' as const,
    nowMs: system.nowMs,
  };
  const { request } = createFakeExchange();
  const waits: number[] = [];
  let ids = 0;
  let refused = 0;
  let settledCost = 0;

  const counts = new RequestCounts({ isListed: () => true });
  const one = async (withAudit: boolean): Promise<void> => {
    ids += 1;
    const id = `01m80rmhj111khv9e57d${ids}`;
    const begun = performance.now();
    const found = terms.of(caller, {}, { selectorsOf: () => [] });
    if (!found.ok) throw new Error(found.error);
    const counted = takeLimits(limits, {
      holder: id,
      terms: found.value.limits,
      tokens: 1_500,
    });
    const taken = counted instanceof Promise ? await counted : counted;
    if (!taken.ok) throw new Error(taken.error.refusal.message);
    const purse = new Purse(money, {
      id,
      caller,
      terms: found.value,
      conversation,
      model: 'openai/gpt-5',
      maxOutputTokens: 4_096,
      taken: taken.value,
    });
    const paid = await purse.begin({ provider: 'openai', model: 'gpt-5' });
    if (!withAudit) waits.push(performance.now() - begun);
    if (!paid.ok) refused += 1;
    await purse.grow(120);
    settledCost += purse.settle(usage, false);
    purse.close();
    if (!withAudit) return;
    const settlement = settlementOf(request, purse.cost);
    trail.value.request(settlement);
    counts.settled(settlement);
  };
  const drive = async (
    count: number,
    withAudit: boolean,
  ): Promise<{ cpuUs: number; ms: number }> => {
    const cpu = process.threadCpuUsage();
    const begun = performance.now();
    let left = count;
    const lane = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        // oxlint-disable-next-line no-await-in-loop -- one request after the other in each lane
        await one(withAudit);
        // Others of the gateway's work get their turn.
        // oxlint-disable-next-line no-await-in-loop -- as above
        if (left % 16 === 0) await nextTurn();
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    const { user, system: kernel } = process.threadCpuUsage(cpu);
    return { cpuUs: (user + kernel) / count, ms: performance.now() - begun };
  };

  /**
   * Time that a timer of one millisecond is late, while the gateway does this; and what the thread itself computed in one turn of
   * the loop, at most: that one is ours alone, whatever else the machine does.
   */
  const loopDelay = async (work: () => Promise<unknown>): Promise<Delay> => {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const turns = watchTurns();
    delay.enable();
    await work();
    delay.disable();
    const { max } = delay;
    const p99Ms = delay.percentile(99) / 1e6;
    return { p99Ms, maxMs: max / 1e6, turns: await turns.close() };
  };

  await drive(20_000, true);
  waits.length = 0;
  const moneyRuns: number[] = [];
  const allRuns: number[] = [];
  const otherRuns: number[] = [];
  const speeds: number[] = [];
  // One beside the other, so that what else the machine does falls on both.
  for (let round = 0; round < rounds; round += 1) {
    const count = Math.floor(requests / rounds);
    // oxlint-disable-next-line no-await-in-loop -- one measurement after the other
    const money1 = await drive(count, false);
    moneyRuns.push(money1.cpuUs);
    speeds.push(count / (money1.ms / 1_000));
    const whole = process.cpuUsage();
    // oxlint-disable-next-line no-await-in-loop -- as above
    const all = await drive(count, true);
    const { user, system: kernel } = process.cpuUsage(whole);
    allRuns.push(all.cpuUs);
    otherRuns.push((user + kernel) / count - all.cpuUs);
  }
  const moneyCpuUs = quantile(moneyRuns, 0.5);
  const allCpuUs = quantile(allRuns, 0.5);
  const writerCpuUs = quantile(otherRuns, 0.5);
  const p50 = quantile(waits, 0.5);
  const p99 = quantile(waits, 0.99);
  // In bursts of twenty, with and without their records: what the writer adds shows.
  const paced = (perSecond: number, withAudit: boolean): Promise<Delay> =>
    loopDelay(async () => {
      const begun = performance.now();
      const periodMs = 20_000 / perSecond;
      for (let at = periodMs; at <= (quick ? 3_000 : 10_000); at += periodMs) {
        await Promise.all(Array.from({ length: 20 }, () => one(withAudit)));
        const leftMs = begun + at - performance.now();
        // Whoever is late goes on in the next turn, as what comes over sockets does.
        await (leftMs > 0 ? wait(leftMs) : nextTurn());
      }
    });
  const idle = await loopDelay(() => wait(quick ? 3_000 : 10_000));
  const without = await paced(2_000, false);
  const withWriter = await paced(2_000, true);
  const many = await paced(20_000, true);
  await ledger.close();
  const books = await store.value.bank.accounts({ name: 'everyone', limit: 1 });
  const spent = books.ok ? (books.value[0]?.state.spent ?? 0) : 0;
  await trail.value.close();
  await store.value.close();
  await rm(stateDir, { recursive: true, force: true });
  if (refused > 0 || spent !== settledCost)
    throw new Error(`the books differ: ${spent} ${settledCost}`);

  const line = (name: string, value: string): void => console.log(`${name.padEnd(44)}${value}`);
  line('requests', String(requests));
  line('CPU of the gateway thread, money and limits', `${moneyCpuUs.toFixed(2)} µs a request`);
  line('CPU of the gateway thread, audit, metrics', `${allCpuUs.toFixed(2)} µs a request`);
  line('CPU of other threads (state file, disk)', `${writerCpuUs.toFixed(2)} µs a request`);
  line('wait before dispatch, p50', `${(p50 * 1_000).toFixed(1)} µs`);
  line('wait before dispatch, p99', `${(p99 * 1_000).toFixed(1)} µs`);
  const held = ({ p99Ms, maxMs, turns }: Delay): string =>
    `${p99Ms.toFixed(2)} ms p99, ${maxMs.toFixed(2)} ms longest; longest turn ${turns.longestMs.toFixed(2)} ms of CPU, ${turns.oursMs.toFixed(2)} ms without the collector (${turns.pauses} pauses, longest ${turns.pauseMs.toFixed(2)} ms)`;
  line('loop held, idle', held(idle));
  line('loop held, 2,000/s without audit', held(without));
  line('loop held, 2,000/s with audit', held(withWriter));
  line('loop held, 20,000/s with audit', held(many));
  line('floor', '15 µs CPU, 100 µs p50, no turn over 5 ms');
  return {
    moneyCpuUs: round(moneyCpuUs),
    allCpuUs: round(allCpuUs),
    p50Us: round(p50 * 1_000),
    p99Us: round(p99 * 1_000),
    writerCpuUs: round(writerCpuUs),
    loopIdleP99Ms: round(idle.p99Ms),
    loopIdleMaxMs: round(idle.maxMs),
    loopMoneyP99Ms: round(without.p99Ms),
    loopMoneyMaxMs: round(without.maxMs),
    loopAuditP99Ms: round(withWriter.p99Ms),
    loopAuditMaxMs: round(withWriter.maxMs),
    turnIdleMs: round(idle.turns.longestMs),
    turnAuditMs: round(withWriter.turns.longestMs),
    turnManyMs: round(many.turns.longestMs),
    ownTurnIdleMs: round(idle.turns.oursMs),
    ownTurnAuditMs: round(withWriter.turns.oursMs),
    ownTurnManyMs: round(many.turns.oursMs),
    pauseAuditMs: round(withWriter.turns.pauseMs),
    pauseManyMs: round(many.turns.pauseMs),
    requestsPerSecond: Math.round(quantile(speeds, 0.5)),
  };
}

interface Delay {
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly turns: Turns;
}

interface Turn {
  readonly beganMs: number;
  readonly endedMs: number;
  readonly cpuMs: number;
}

interface Turns {
  /** CPU of the longest turn of the loop. */
  readonly longestMs: number;
  /** The same without the pauses of the collector that fell into it. */
  readonly oursMs: number;
  /** The longest pause of the collector, and how many there were; real time. */
  readonly pauseMs: number;
  readonly pauses: number;
}

/** Turns that took less say nothing. */
const notableMs = 0.2;

/**
 * Looks once in each turn of the loop at what the thread has computed, and listens for the collector; `close` tells the most of
 * one turn, with and without it.
 */
function watchTurns(): { close(): Promise<Turns> } {
  const turns: Turn[] = [];
  const pauses: { readonly atMs: number; readonly tookMs: number }[] = [];
  let isOver = false;
  const cpuMs = (): number => {
    // Linux counts the running thread up to the last tick, 4 ms ago at worst, but for whoever asks about the whole process.
    process.cpuUsage();
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1_000;
  };
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries())
      pauses.push({ atMs: startTime, tookMs: duration });
  });
  observer.observe({ entryTypes: ['gc'] });
  let before = { cpuMs: cpuMs(), atMs: performance.now() };
  const look = (): void => {
    const now = { cpuMs: cpuMs(), atMs: performance.now() };
    const took = now.cpuMs - before.cpuMs;
    if (took > notableMs) turns.push({ beganMs: before.atMs, endedMs: now.atMs, cpuMs: took });
    before = now;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  const oursMs = ({ beganMs, endedMs, cpuMs: all }: Turn): number =>
    pauses.reduce(
      (left, { atMs, tookMs }) => (atMs >= beganMs && atMs < endedMs ? left - tookMs : left),
      all,
    );
  return {
    close: async () => {
      isOver = true;
      // What the collector did last is told in a later turn.
      await wait(20);
      observer.disconnect();
      return {
        longestMs: Math.max(0, ...turns.map((turn) => turn.cpuMs)),
        oursMs: Math.max(0, ...turns.map(oursMs)),
        pauseMs: Math.max(0, ...pauses.map(({ tookMs }) => tookMs)),
        pauses: pauses.length,
      };
    },
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function quantile(values: number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * part)] ?? 0;
}

function settlementOf(request: Settlement['request'], cost: number): Settlement {
  return {
    request,
    caller,
    dialect: 'openai-chat',
    asked: 'openai/gpt-5',
    model: 'openai/gpt-5',
    target: 'openai/gpt-5',
    decisionId: 'd:allow',
    rule: 'policy.hujson:7',
    outcome: 'complete',
    refusal: undefined,
    attempts: 1,
    usage,
    estimated: false,
    cost,
    accounts: ['everyone', 'personal/user:ann@example.com'],
    status: 200,
    bytes: 4_000,
    firstByteMs: 200,
    durationMs: 900,
  };
}
