import { mcpLimits } from './limits.ts';

/** Whether a call may begin, and how it ends. `undefined`: it may not; the number says after how many ms to try again. */
export type Turn =
  | { readonly mayBegin: true; end(): void }
  | { readonly mayBegin: false; readonly retryAfterMs: number };

interface Bucket {
  calls: number;
  changes: number;
  atMs: number;
  running: number;
}

const minuteMs = 60_000;

/** How often each principal may call, and how much at once. */
export class Pace {
  readonly #buckets = new Map<string, Bucket>();
  #running = 0;

  begin(principal: string, isChange: boolean, nowMs: number): Turn {
    const bucket = this.#bucketOf(principal, nowMs);
    const { callsAtOnceMax, callsAtOnceOfAllMax, callsPerMinute, changesPerMinute } = mcpLimits;
    if (bucket.running >= callsAtOnceMax || this.#running >= callsAtOnceOfAllMax) {
      return { mayBegin: false, retryAfterMs: 1_000 };
    }
    if (bucket.calls < 1)
      return { mayBegin: false, retryAfterMs: untilOne(bucket.calls, callsPerMinute) };
    if (isChange && bucket.changes < 1) {
      return { mayBegin: false, retryAfterMs: untilOne(bucket.changes, changesPerMinute) };
    }
    bucket.calls -= 1;
    if (isChange) bucket.changes -= 1;
    bucket.running += 1;
    this.#running += 1;
    let isOver = false;
    return {
      mayBegin: true,
      end: () => {
        if (isOver) return;
        isOver = true;
        bucket.running -= 1;
        this.#running -= 1;
      },
    };
  }

  #bucketOf(principal: string, nowMs: number): Bucket {
    const { callsBurst, callsPerMinute, changesBurst, changesPerMinute } = mcpLimits;
    const known = this.#buckets.get(principal);
    const bucket = known ?? { calls: callsBurst, changes: changesBurst, atMs: nowMs, running: 0 };
    const passed = Math.max(0, nowMs - bucket.atMs) / minuteMs;
    bucket.calls = Math.min(callsBurst, bucket.calls + passed * callsPerMinute);
    bucket.changes = Math.min(changesBurst, bucket.changes + passed * changesPerMinute);
    bucket.atMs = nowMs;
    // Last in the order of the map, so that whoever was silent longest is forgotten first.
    this.#buckets.delete(principal);
    this.#buckets.set(principal, bucket);
    if (this.#buckets.size > mcpLimits.principalsMax) {
      for (const [oldest, { running }] of this.#buckets) {
        if (running > 0) continue;
        this.#buckets.delete(oldest);
        break;
      }
    }
    return bucket;
  }
}

function untilOne(left: number, perMinute: number): number {
  return Math.ceil(((1 - left) * minuteMs) / perMinute);
}
