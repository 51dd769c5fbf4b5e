import { loopMeter } from '../system-node/loop-meter.ts';

/** A stream whose next read can wait. */
export interface Paced {
  /** When its turn comes, monotonic ms; only the pace writes it. */
  dueMs: number;
  /** It is its turn. */
  readAgain(): void;
}

/** Decides when streams are read. */
export interface Pace {
  /** Whether this one, which was just read, is read again only when it is told to. Not asked again before that. */
  putsOff(one: Paced): boolean;
}

/** How often the load of the loop is looked at, while something streams. */
const lookMs = 20;
/** After so long without a read, what was known of the load is old. */
const knownMs = 200;
/**
 * Above this part of its time the loop is busy, and waits get longer; below the other they get shorter. A start takes four
 * turns of the loop, each behind whatever is being done then: with 0.7 and 0.5 it took twice as long.
 */
const busyAbove = 0.55;
const busyBelow = 0.4;
/**
 * With fewer reads than these it is something else that keeps the loop busy, and nothing is won. Reads that are put off
 * take several events each, so fewer of them say the same.
 */
const readsPerMsMin = 4;
const putOffReadsPerMsMin = 1;
/** The shortest wait in which two events of a quick model come together. */
const waitMsMin = 20;
/** The longest that a word of a model waits for the next ones: hardly to be seen by whoever reads along. */
const waitMsMax = 50;
const growth = 1.25;
/** Reads of one turn of the loop: after so many, whoever begins meanwhile has their turn. */
const readsPerTurnMax = 2;
/** Places at the head of the queue that are given back at once. */
const spentMax = 1_024;

/**
 * Puts reads off while the loop is busy with them. An event that is read by itself costs a read, a write and all that
 * lies between them; two that came together cost little more than one. So where the loop has no time to spare, a stream
 * that was read is left alone for some hundredths of a second: it takes along what came meanwhile, and what begins
 * finds a loop that is free. On a loop that has time nothing waits.
 */
export class ReadPace implements Pace {
  readonly #busyPart: () => number;
  #waitMs = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #reads = 0;
  /** In the order in which they were read; their turns come from `#next` on. */
  #queue: Paced[] = [];
  #next = 0;
  #isArmed = false;
  readonly #onTurn = (): void => this.#turn();

  /** `busyPart`: the part of the time since it was asked last, 0 to 1, in which the loop had something to do. */
  constructor(busyPart: () => number = loopMeter()) {
    this.#busyPart = busyPart;
  }

  putsOff(one: Paced): boolean {
    const nowMs = performance.now();
    this.#reads += 1;
    if (nowMs - this.#lookedAtMs >= lookMs) this.#look(nowMs);
    if (this.#waitMs === 0) return false;
    one.dueMs = nowMs + this.#waitMs;
    this.#queue.push(one);
    if (!this.#isArmed) this.#arm(nowMs);
    return true;
  }

  #look(nowMs: number): void {
    const sinceMs = nowMs - this.#lookedAtMs;
    const busy = this.#busyPart();
    const perMsMin = this.#waitMs === 0 ? readsPerMsMin : putOffReadsPerMsMin;
    const isOurs = this.#reads >= sinceMs * perMsMin;
    this.#lookedAtMs = nowMs;
    this.#reads = 0;
    if (sinceMs > knownMs) this.#waitMs = 0;
    else if (isOurs && busy > busyAbove) {
      this.#waitMs = Math.min(Math.max(this.#waitMs * growth, waitMsMin), waitMsMax);
    } else if (!isOurs || busy < busyBelow) {
      const shorter = this.#waitMs / growth;
      this.#waitMs = shorter < waitMsMin ? 0 : shorter;
    }
  }

  /** For the turn of the first in the queue. */
  #arm(nowMs: number): void {
    const first = this.#queue[this.#next];
    this.#isArmed = first !== undefined;
    if (first === undefined) return;
    if (first.dueMs <= nowMs) setImmediate(this.#onTurn);
    else setTimeout(this.#onTurn, first.dueMs - nowMs);
  }

  #turn(): void {
    const nowMs = performance.now();
    for (let left = readsPerTurnMax; left > 0; left -= 1) {
      const one = this.#queue[this.#next];
      if (one === undefined || one.dueMs > nowMs) break;
      this.#next += 1;
      one.readAgain();
    }
    if (this.#next >= spentMax || this.#next === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    this.#arm(nowMs);
  }
}
