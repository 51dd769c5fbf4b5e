import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { AuditRecord, Chain, PlacedRecord, TreeEdge } from '@postern/core/state/audit';
import { recordBody, segmentHeaderLine, segmentName } from '@postern/core/state/audit';
import type {
  AppendRefusal,
  AuditLane,
  LogHealth,
  LogMark,
  TreeLog,
} from '../../observe/audit/index.ts';
import { DurableMarkFile } from './durable-mark.ts';
import { isCode, syncFolder, writeAll } from './files.ts';
import { segmentLimits } from './limits.ts';
import { LineQueue } from './queue.ts';
import { readRecords } from './read.ts';
import type { Recovered } from './recover.ts';
import { Reserve } from './reserve.ts';

export interface WriterOptions {
  readonly dir: string;
  readonly origin: string;
  readonly nowMs: () => number;
  readonly recovered: Recovered;
  readonly bounds: SegmentBounds;
}

/** Sizes that a test or an operator changes. */
export interface SegmentBounds {
  readonly segmentBytesMax: number;
  readonly reserveBytes: number;
  readonly retryMs: number;
  readonly slowMs: number;
}

interface Waiter {
  readonly index: number;
  readonly resolve: (isDurable: boolean) => void;
}

/** The file that is being written. */
interface Segment {
  readonly handle: FileHandle;
  bytes: number;
}

/**
 * The only writer of a log. Records get their place and hash at once and gather for some milliseconds; then there is
 * one write and one fdatasync for all of them, off the event loop. A batch that fails is written again at the same
 * place until it succeeds, so that a record that was taken is lost only with the process.
 */
export class SegmentWriter implements TreeLog {
  readonly #dir: string;
  readonly #origin: string;
  readonly #nowMs: () => number;
  readonly #bounds: SegmentBounds;
  readonly #chain: Chain;
  readonly #tree: TreeEdge;
  readonly #queue = new LineQueue();
  readonly #reserve: Reserve;
  readonly #mark: DurableMarkFile;
  #waiters: Waiter[] = [];
  #segment: Segment | undefined;
  #continued: Recovered['segment'];
  #durable: number;
  /** Hash of the last durable record: the next file begins with it. */
  #durableHash: Uint8Array;
  #health: Exclude<LogHealth, { readonly kind: 'slow' }> = { kind: 'good' };
  #refused = 0;
  /** How many of them the log itself has on record, or were no fault of the disk. */
  #refusedNoted = 0;
  #writingBytes = 0;
  /** What is being done takes longer than with any disk that works. */
  #isLate = false;
  #timer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #work: Promise<void> | undefined;
  #isClosed = false;
  readonly #cutShort = new AbortController();
  #hasGivenUp = false;

  constructor(options: WriterOptions) {
    const { chain, tree, segment, tornBytes } = options.recovered;
    this.#dir = options.dir;
    this.#origin = options.origin;
    this.#nowMs = options.nowMs;
    this.#bounds = options.bounds;
    this.#chain = chain;
    this.#tree = tree;
    this.#continued = segment;
    this.#durable = chain.head.size;
    this.#durableHash = chain.head.hash;
    this.#reserve = new Reserve(path.join(this.#dir, 'reserve'), options.bounds.reserveBytes);
    this.#mark = new DurableMarkFile(this.#dir);
    if (tornBytes > 0) this.#note('log.recovered', { torn_bytes: tornBytes });
    // Whoever starts does not wait for space to be set aside: until it is, a full disk only refuses sooner.
    void this.#exclusively(() => this.#restock());
  }

  get durableIndex(): number {
    return this.#durable;
  }

  get health(): LogHealth {
    if (this.#health.kind !== 'good') return this.#health;
    if (this.#isLate) return late;
    return this.#waitingBytes >= segmentLimits.slowBytes ? behind : this.#health;
  }

  get refused(): number {
    return this.#refused;
  }

  append(record: AuditRecord, lane: AuditLane = 'data'): Result<number, AppendRefusal> {
    const refusal = this.#refusal(lane);
    if (refusal !== undefined) {
      this.#refused += 1;
      return err(refusal);
    }
    const index = this.#chain.size + 1;
    const hash = this.#chain.seal(recordBody(record, index));
    if (hash === undefined) {
      this.#refused += 1;
      this.#refusedNoted += 1;
      return err({ kind: 'too_long', why: `a record of kind ${record.kind} is too long` });
    }
    this.#tree.append(hash);
    this.#queue.push(hash, this.#chain.body);
    this.#wakeIn(segmentLimits.batchMs);
    return ok(index);
  }

  whenDurable(index: number): Promise<boolean> {
    if (index <= this.#durable) return Promise.resolve(true);
    if (this.#isClosed) return Promise.resolve(false);
    const waited = new Promise<boolean>((resolve) => {
      this.#waiters.push({ index, resolve });
    });
    // Somebody waits: that keeps the process, which the gathering of records alone does not.
    this.#timer?.ref();
    this.#wake();
    return waited;
  }

  read(from: number, to: number): AsyncIterable<PlacedRecord> {
    return readRecords(this.#dir, from, Math.min(to, this.#durable));
  }

  mark(): LogMark {
    return { head: this.#chain.head, root: this.#tree.root(), edge: this.#tree.hashes };
  }

  async close(): Promise<number> {
    this.#isClosed = true;
    // Two tries for what waits; a disk that still refuses is not waited for.
    this.#cutShort.abort();
    while (!this.#hasGivenUp && (this.#work !== undefined || this.#queue.bytes > 0)) {
      this.#wake();
      await this.#work;
    }
    clearTimeout(this.#timer);
    clearTimeout(this.#retryTimer);
    await this.#segment?.handle.close();
    this.#segment = undefined;
    await this.#mark.close();
    for (const { resolve } of this.#waiters.splice(0)) resolve(false);
    return this.#chain.size - this.#durable;
  }

  #refusal(lane: AuditLane): AppendRefusal | undefined {
    if (this.#isClosed) return { kind: 'closed', why: 'the audit log is closed' };
    if (lane === 'data' && this.#health.kind !== 'good') return this.#health;
    const waiting = this.#waitingBytes;
    const room =
      segmentLimits.queueBytesMax + (lane === 'control' ? segmentLimits.controlQueueBytes : 0);
    if (waiting < room) return undefined;
    return { kind: 'busy', why: `${waiting} bytes of records wait for the disk already` };
  }

  get #waitingBytes(): number {
    return this.#queue.bytes + this.#writingBytes;
  }

  #wakeIn(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#wake();
    }, ms);
    if (this.#waiters.length === 0) this.#timer.unref();
  }

  #wake(): void {
    if (this.#queue.bytes === 0) return;
    if (this.#work !== undefined) return;
    void this.#exclusively(() => this.#drain());
  }

  /** One piece of work at a time touches the files. None of it throws. */
  #exclusively(work: () => Promise<void>): Promise<void> {
    const before = this.#work ?? Promise.resolve();
    const mine = before
      .then(() => this.#timed(work))
      .finally(() => {
        if (this.#work !== mine) return;
        this.#work = undefined;
        if (this.#queue.bytes > 0) this.#wakeIn(this.#nextMs());
      });
    this.#work = mine;
    return mine;
  }

  async #timed(work: () => Promise<void>): Promise<void> {
    const timer = setTimeout(() => {
      this.#isLate = true;
    }, this.#bounds.slowMs).unref();
    await work();
    clearTimeout(timer);
    this.#isLate = false;
  }

  #nextMs(): number {
    return this.#isClosed || this.#waiters.length > 0 ? 0 : segmentLimits.batchMs;
  }

  async #drain(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const pieces = this.#queue.take();
    if (pieces.length === 0) return;
    const { size, hash } = this.#chain.head;
    this.#writingBytes = pieces.reduce((sum, { length }) => sum + length, 0);
    if (!(await this.#writeAgain(pieces))) return;
    this.#writingBytes = 0;
    this.#queue.giveBack(pieces);
    this.#durable = size;
    this.#durableHash = hash;
    await this.#mark.write({ index: size, hash });
    this.#tellWaiters();
    if (this.#health.kind !== 'good') await this.#restock();
    else this.#noteRefused();
  }

  /** Until it is written; false where the log is closed and the disk still refuses. */
  async #writeAgain(pieces: readonly Buffer[]): Promise<boolean> {
    for (let tries = 0; !(await this.#write(pieces)); tries += 1) {
      if (this.#cutShort.signal.aborted && tries > 0) {
        this.#hasGivenUp = true;
        return false;
      }
      // What was full has just got the reserve: the second try is made at once.
      if (tries > 0 || this.#health.kind !== 'full') await this.#pause();
    }
    return true;
  }

  async #write(pieces: readonly Buffer[]): Promise<boolean> {
    try {
      const segment = await this.#segmentFor(this.#writingBytes);
      await writeAll(segment.handle, pieces, segment.bytes);
      await segment.handle.datasync();
      segment.bytes += this.#writingBytes;
      return true;
    } catch (cause) {
      await this.#fail(cause);
      return false;
    }
  }

  /** The file that takes this many bytes: the current one, or the next. */
  async #segmentFor(bytes: number): Promise<Segment> {
    const continued = this.#continued;
    if (this.#segment === undefined && continued !== undefined) {
      this.#segment = { handle: await open(continued.file, 'r+'), bytes: continued.bytes };
      this.#continued = undefined;
    }
    const current = this.#segment;
    if (current !== undefined && current.bytes + bytes <= this.#bounds.segmentBytesMax)
      return current;
    const next = await this.#begin();
    this.#segment = next;
    await current?.handle.close();
    return next;
  }

  /** A file counts once its first line and its name are durable. */
  async #begin(): Promise<Segment> {
    const first = this.#durable + 1;
    const line = Buffer.from(
      segmentHeaderLine({ origin: this.#origin, first, before: this.#durableHash }),
    );
    const handle = await open(path.join(this.#dir, segmentName(first)), 'w', 0o600);
    try {
      await writeAll(handle, [line], 0);
      await handle.datasync();
      await syncFolder(this.#dir);
      return { handle, bytes: line.length };
    } catch (cause) {
      await handle.close();
      throw cause;
    }
  }

  async #fail(cause: unknown): Promise<void> {
    const why = messageOf(cause);
    const isFull = isCode(cause, 'ENOSPC', 'EDQUOT', 'EFBIG');
    this.#health = { kind: isFull ? 'full' : 'failing', why };
    if (isFull) await this.#reserve.release().catch(() => undefined);
  }

  /** Sets the reserve aside again. Only then may anything but control records come in. */
  async #restock(): Promise<void> {
    try {
      await this.#reserve.take();
      if (this.#health.kind === 'good') return;
      this.#health = { kind: 'good' };
      this.#noteResumed();
    } catch (cause) {
      await this.#fail(cause);
      this.#retryLater();
    }
  }

  #retryLater(): void {
    if (this.#isClosed) return;
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined;
      if (!this.#isClosed) void this.#exclusively(() => this.#restock());
    }, this.#bounds.retryMs).unref();
  }

  /** Records that a queue without room refused, once there is room. */
  #noteRefused(): void {
    if (this.#refused > this.#refusedNoted && this.health.kind === 'good') this.#noteResumed();
  }

  #noteResumed(): void {
    this.#note('log.resumed', { refused_records: this.#refused - this.#refusedNoted });
    this.#refusedNoted = this.#refused;
  }

  /** The log's own records about itself. */
  #note(kind: string, fields: AuditRecord['fields']): void {
    this.append({ kind, v: 1, atMs: this.#nowMs(), fields }, 'control');
  }

  #tellWaiters(): void {
    if (this.#waiters.length === 0) return;
    const durable = this.#durable;
    const done = this.#waiters.filter(({ index }) => index <= durable);
    this.#waiters = this.#waiters.filter(({ index }) => index > durable);
    for (const { resolve } of done) resolve(true);
  }

  /** Until the next try; at once where the log is being closed. */
  #pause(): Promise<void> {
    const { signal } = this.#cutShort;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, this.#bounds.retryMs);
      signal.addEventListener('abort', done);
      if (signal.aborted) done();
    });
  }
}

const late: LogHealth = Object.freeze({
  kind: 'slow',
  why: 'the disk has not finished a write for seconds',
});

const behind: LogHealth = Object.freeze({
  kind: 'slow',
  why: 'the disk does not keep up with the records',
});
