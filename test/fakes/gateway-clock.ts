import type { GatewayClock } from '@postern/server/gateway';

/** A clock that stands still until it is moved. */
export interface FakeClock extends GatewayClock {
  /** Moves on, and calls back whoever is due on the way. */
  advance(ms: number): void;
  /** Timers that wait. */
  readonly pending: number;
}

export function createFakeClock(startMs = 1_000_000): FakeClock {
  let nowMs = startMs;
  const timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();
  return {
    nowMs: () => nowMs,
    after(ms, callback) {
      const timer = { atMs: nowMs + ms, callback };
      timers.add(timer);
      return {
        clear: () => {
          timers.delete(timer);
        },
      };
    },
    advance(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        const [next] = [...timers]
          .filter(({ atMs }) => atMs <= endMs)
          .toSorted((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        timers.delete(next);
        nowMs = next.atMs;
        next.callback();
      }
      nowMs = endMs;
    },
    get pending() {
      return timers.size;
    },
  };
}
