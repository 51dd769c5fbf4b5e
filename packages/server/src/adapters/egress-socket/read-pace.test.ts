import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Paced, ReadPace } from './read-pace.ts';

const streamsCount = 100;
/** Each stream has an event so often: 20 ms for all of them make 5 reads a millisecond. */
const eventMs = 20;

/** What waits for the next turn of the loop. */
let turns: (() => void)[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  turns = [];
  vi.stubGlobal('setImmediate', (turn: () => void) => void turns.push(turn));
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** A loop that takes as many turns as it has to, in no time. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 1) {
    vi.advanceTimersByTime(1);
    for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn();
  }
}

/** A stream that has an event now and then, and notes how long each waited. */
class Stream implements Paced {
  dueMs = 0;
  isPutOff = false;
  putOffAtMs = 0;
  readonly waitedMs: number[] = [];
  reads = 0;

  read(pace: ReadPace): void {
    if (this.isPutOff) return;
    this.reads += 1;
    this.isPutOff = pace.putsOff(this);
    this.putOffAtMs = performance.now();
  }

  readAgain(): void {
    expect(this.isPutOff).toBe(true);
    this.isPutOff = false;
    this.waitedMs.push(performance.now() - this.putOffAtMs);
  }
}

function streams(count: number): Stream[] {
  return Array.from({ length: count }, () => new Stream());
}

/** Every stream has its events for so long. */
function stream(pace: ReadPace, all: readonly Stream[], forMs: number): void {
  const perMs = Math.ceil(all.length / eventMs);
  for (let ms = 0; ms < forMs; ms += 1) {
    const from = (ms % eventMs) * perMs;
    for (const one of all.slice(from, from + perMs)) one.read(pace);
    pass(1);
  }
}

describe('the pace of reads', () => {
  test('puts nothing off while the loop has time', () => {
    const all = streams(streamsCount);
    stream(new ReadPace(() => 0.5), all, 1_000);
    expect(all.every(({ waitedMs }) => waitedMs.length === 0)).toBe(true);
  });

  test('puts every stream off while the loop is busy with them, by 50 ms and a turn at most', () => {
    const all = streams(streamsCount);
    stream(new ReadPace(() => 0.95), all, 1_000);
    const waited = all.flatMap(({ waitedMs }) => waitedMs);
    expect(all.every(({ waitedMs }) => waitedMs.length > 10)).toBe(true);
    expect(Math.max(...waited)).toBeGreaterThan(45);
    expect(Math.max(...waited)).toBeLessThanOrEqual(52);
  });

  test('puts nothing off where something else keeps the loop busy', () => {
    const all = streams(20);
    stream(new ReadPace(() => 1), all, 1_000);
    expect(all.every(({ waitedMs }) => waitedMs.length === 0)).toBe(true);
  });

  test('keeps its measure between busy and idle, and forgets it when the load is gone', () => {
    const all = streams(streamsCount);
    let busy = 0.95;
    const pace = new ReadPace(() => busy);
    stream(pace, all, 300);
    busy = 0.5;
    stream(pace, all, 300);
    expect(all.every(({ isPutOff }) => isPutOff)).toBe(true);
    busy = 0.2;
    stream(pace, all, 300);
    expect(all.some(({ isPutOff }) => isPutOff)).toBe(false);
  });

  test('begins anew after a silence', () => {
    const all = streams(streamsCount);
    const pace = new ReadPace(() => 1);
    stream(pace, all, 300);
    pass(300);
    expect(all.some(({ isPutOff }) => isPutOff)).toBe(false);
    expect(pace.putsOff(new Stream())).toBe(false);
  });

  test('gives back 2 reads in a turn of the loop, so that others come in between', () => {
    const all = streams(streamsCount);
    const pace = new ReadPace(() => 1);
    stream(pace, all, 100);
    const late = streams(40);
    for (const one of late) one.read(pace);
    expect(late.every(({ isPutOff }) => isPutOff)).toBe(true);
    // All of them are due at once; the loop was held meanwhile.
    vi.advanceTimersByTime(60);
    const released = (): number => late.filter(({ isPutOff }) => !isPutOff).length;
    const before = released();
    turns.shift()?.();
    expect(released() - before).toBeLessThanOrEqual(2);
    pass(1);
    expect(released()).toBe(late.length);
  });

  test('has no timer left once nothing is put off', () => {
    const all = streams(streamsCount);
    stream(new ReadPace(() => 1), all, 200);
    expect(vi.getTimerCount()).toBe(1);
    pass(60);
    expect(vi.getTimerCount()).toBe(0);
  });
});
