import type { Delivered } from '../../observe/trace/index.ts';

export interface CourierOptions {
  /** Sends one body. Must not throw. */
  readonly deliver: (body: string) => Promise<Delivered>;
  readonly after: (ms: number, callback: () => void) => { clear(): void };
  /** A delivery was given up: the receiver was away all the time, or refused it. */
  readonly onLost: (why: string, isAway: boolean) => void;
}

/** Deliveries that wait for a receiver that is away; beyond these the oldest are lost. */
export const courierQueueMax = 64;
/** Before the second try and on: a quarter of an hour in all, then the delivery is given up. */
export const courierRetryMs = [1_000, 5_000, 30_000, 120_000, 600_000] as const;

/** Carries bodies to one receiver in order, each until it is taken, refused, or tried often enough. */
export class Courier {
  readonly counts = { delivered: 0, failed: 0, dropped: 0 };
  readonly #options: CourierOptions;
  readonly #queue: string[] = [];
  #isRunning = false;
  #isClosed = false;
  #hurry: () => void = () => undefined;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  take(body: string): void {
    if (this.#isClosed) return;
    if (this.#queue.length >= courierQueueMax) {
      this.#queue.shift();
      this.counts.dropped += 1;
    }
    this.#queue.push(body);
    if (!this.#isRunning) void this.#run();
  }

  close(): void {
    this.#isClosed = true;
    this.#hurry();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let body = this.#queue.shift(); body !== undefined; body = this.#queue.shift()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, in order
      const done = await this.#carry(body);
      if (done.kind === 'taken') this.counts.delivered += 1;
      else {
        this.counts.failed += 1;
        this.#options.onLost(done.why, done.kind === 'later');
      }
      if (this.#isClosed) break;
    }
    this.#isRunning = false;
  }

  async #carry(body: string): Promise<Delivered> {
    let done = await this.#options.deliver(body);
    for (const waitMs of courierRetryMs) {
      if (done.kind !== 'later' || this.#isClosed) return done;
      // oxlint-disable-next-line no-await-in-loop -- a wait is the point
      await this.#pause(waitMs);
      // oxlint-disable-next-line no-await-in-loop -- one try after the other
      if (!this.#isClosed) done = await this.#options.deliver(body);
    }
    return done;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.after(ms, resolve);
      this.#hurry = () => {
        timer.clear();
        resolve();
      };
    });
  }
}
