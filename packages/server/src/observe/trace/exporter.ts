import type { Span } from './span.ts';

/** How one delivery went: taken (but so many spans), worth another try, or refused for good. */
export type Delivered =
  | { readonly kind: 'taken'; readonly rejected: number }
  | { readonly kind: 'later'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string };

export interface SpanExporterOptions {
  /** Sends one batch. Must not throw. */
  readonly deliver: (spans: readonly Span[]) => Promise<Delivered>;
  /** Calls back once after `ms` unless cleared; never keeps the process alive. */
  readonly after: (ms: number, callback: () => void) => { clear(): void };
  readonly onProblem: (why: string) => void;
}

/** Spans that wait. A collector that is away for a moment loses none; one that is gone costs a few megabytes. */
export const spanQueueMax = 4_096;
/** Spans of one delivery: some hundred kilobytes. */
export const spanBatchMax = 512;
/** How long the first span of a batch waits for others. */
export const spanBatchMs = 2_000;
/** Before the second, third and fourth try of one batch; then its spans are given up. */
const retryMs = [1_000, 2_000, 4_000] as const;

/** Spans on their way to a collector: a bounded queue, one delivery at a time, every loss counted. */
export class SpanExporter {
  readonly counts = { exported: 0, failed: 0, dropped: 0 };
  readonly #options: SpanExporterOptions;
  #queue: Span[] = [];
  #timer: { clear(): void } | undefined;
  #sending: Promise<void> | undefined;
  #hurry: () => void = () => undefined;
  #isClosed = false;

  constructor(options: SpanExporterOptions) {
    this.#options = options;
  }

  take(span: Span): void {
    if (this.#isClosed || this.#queue.length >= spanQueueMax) {
      this.counts.dropped += 1;
      return;
    }
    this.#queue.push(span);
    if (this.#queue.length >= spanBatchMax) this.#send();
    else this.#timer ??= this.#options.after(spanBatchMs, () => this.#send());
  }

  /** One last try for what waits. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.clear();
    this.#hurry();
    await this.#sending;
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, spanBatchMax);
      // oxlint-disable-next-line no-await-in-loop -- one delivery at a time
      const done = await this.#options.deliver(batch);
      this.#count(batch, done);
      if (done.kind !== 'taken') {
        this.counts.failed += this.#queue.length;
        this.#queue = [];
      }
    }
  }

  #send(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    this.#sending ??= this.#deliverAll().finally(() => {
      this.#sending = undefined;
      if (this.#queue.length > 0 && !this.#isClosed)
        this.#timer ??= this.#options.after(spanBatchMs, () => this.#send());
    });
  }

  async #deliverAll(): Promise<void> {
    do {
      const batch = this.#queue.splice(0, spanBatchMax);
      // oxlint-disable-next-line no-await-in-loop -- one delivery at a time
      await this.#deliver(batch);
    } while (this.#queue.length >= spanBatchMax && !this.#isClosed);
  }

  async #deliver(batch: readonly Span[]): Promise<void> {
    let done = await this.#options.deliver(batch);
    for (const waitMs of retryMs) {
      if (done.kind !== 'later' || this.#isClosed) break;
      // oxlint-disable-next-line no-await-in-loop -- a wait is the point
      await this.#pause(waitMs);
      // oxlint-disable-next-line no-await-in-loop -- one try after the other
      done = await this.#options.deliver(batch);
    }
    this.#count(batch, done);
  }

  /** Ends early when the process ends. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.after(ms, resolve);
      this.#hurry = () => {
        timer.clear();
        resolve();
      };
    });
  }

  #count(batch: readonly Span[], done: Delivered): void {
    const lost = done.kind === 'taken' ? Math.min(done.rejected, batch.length) : batch.length;
    this.counts.exported += batch.length - lost;
    this.counts.failed += lost;
    if (done.kind !== 'taken') this.#options.onProblem(done.why);
  }
}
