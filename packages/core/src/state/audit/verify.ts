import { equalBytes, utf8Text } from '@postern/core/base';
import type { Checkpoint } from './checkpoint.ts';
import type { SegmentHeader } from './chain.ts';
import { Chain, readLine, readSegmentHeader } from './chain.ts';
import { auditLimits } from './limits.ts';
import type { PlacedRecord } from './record.ts';
import { readBody } from './record.ts';
import type { Sha256 } from './tree.ts';
import { TreeEdge } from './tree.ts';

/** The first thing that is wrong with a log, by the index of the record where it shows. */
export interface LogFlaw {
  readonly index: number;
  readonly what: string;
}

export interface LogVerdict {
  readonly records: number;
  readonly flaw: LogFlaw | undefined;
  /** The newest checkpoint that agrees with the records. */
  readonly agreed: Checkpoint | undefined;
  /** Records after it, whose order and content only the chain vouches for. */
  readonly uncovered: number;
  /** Bytes of an incomplete record at the end: written just now, or cut off by a crash. */
  readonly tornBytes: number;
  readonly root: Uint8Array;
}

/**
 * Notes that say that they are checkpoints of a log, in the order of their sizes. There are as many as minutes, and a
 * signature costs a hundred times what a comparison does: it is checked where a note disagrees with the records, and of
 * the newest that agrees.
 */
export interface ClaimedCheckpoints {
  readonly count: number;
  sizeAt(this: void, at: number): number;
  /** Whether its root is this one. */
  hasRoot(this: void, at: number, root: Uint8Array): boolean;
  /** The checkpoint, where the log's key signed it. */
  open(this: void, at: number): Checkpoint | undefined;
}

/**
 * Verifies a log line by line: every hash, every place, every signed checkpoint. Stops at the first flaw, since nothing
 * after it is known to be what was written.
 */
export class LogVerifier {
  readonly #chain: Chain;
  readonly #tree: TreeEdge;
  readonly #claimed: ClaimedCheckpoints;
  readonly #onRecord: ((record: PlacedRecord, hash: Uint8Array) => void) | undefined;
  /** The first note that no record was held against yet, and its size. */
  #next = 0;
  #nextSize = 0;
  /** Notes that disagreed and that nobody signed: they count for nothing. */
  readonly #unsigned = new Set<number>();
  readonly #origin: string;
  #flaw: LogFlaw | undefined;
  #tornBytes = 0;

  constructor(options: {
    readonly sha256: Sha256;
    /** Which log it must be: the name of the key that signs for it. */
    readonly origin: string;
    readonly claimed: ClaimedCheckpoints;
    readonly onRecord?: (record: PlacedRecord, hash: Uint8Array) => void;
  }) {
    this.#origin = options.origin;
    this.#chain = new Chain(options.sha256);
    this.#tree = new TreeEdge(options.sha256);
    this.#claimed = options.claimed;
    this.#onRecord = options.onRecord;
    this.#goTo(0);
    this.#compare();
  }

  get flaw(): LogFlaw | undefined {
    return this.#flaw;
  }

  /** The first line of a segment; `first` is the index in its name. */
  header(line: Uint8Array, first: number): void {
    if (this.#flaw !== undefined) return;
    const header = readSegmentHeader(line);
    const what = this.#headerFlaw(header, first);
    if (what !== undefined) this.#fail(what);
  }

  /** The next record, without its line feed. */
  line(line: Uint8Array): void {
    if (this.#flaw !== undefined) return;
    const record = readLine(line);
    if (record === undefined) return this.#fail('is not a record');
    const { size } = this.#tree;
    const hash = this.#chain.sealBytes(record.body);
    if (hash === undefined || !equalBytes(hash, record.hash)) {
      return this.#fail('is not what was written there: changed, missing or moved');
    }
    const text = utf8Text(record.body);
    const body = text === undefined ? undefined : readBody(text);
    if (body?.index !== size + 1) return this.#fail('has a body that is not of this place');
    this.#tree.append(hash);
    this.#compare();
    this.#onRecord?.(body, hash);
  }

  /**
   * The end of a segment: bytes after the last line feed. Only the last segment of a log may have some, fewer than a line
   * has at most.
   */
  rest(bytes: number, isLast: boolean): void {
    if (this.#flaw !== undefined || bytes === 0) return;
    if (isLast && bytes < auditLimits.lineBytesMax) this.#tornBytes = bytes;
    else this.#fail('is incomplete');
  }

  /**
   * A segment without a whole first line, whose name says that it begins with `first`: the last one may be so, where it
   * was about to be begun.
   */
  unbegun(first: number, bytes: number, isLast: boolean): void {
    if (this.#flaw !== undefined) return;
    if (isLast && first === this.#tree.size + 1) this.rest(bytes, isLast);
    else this.#fail('should begin a file, which has no whole first line');
  }

  end(): LogVerdict {
    const records = this.#tree.size;
    const beyond = this.#flaw === undefined ? this.#beyond() : undefined;
    if (beyond !== undefined) {
      this.#fail(`is missing, although a checkpoint over ${beyond.size} records was signed`);
    }
    const agreed = this.#agreedBefore(this.#next);
    return {
      records,
      flaw: this.#flaw,
      agreed,
      uncovered: records - (agreed?.size ?? 0),
      tornBytes: this.#tornBytes,
      root: this.#tree.root(),
    };
  }

  #headerFlaw(header: SegmentHeader | undefined, first: number): string | undefined {
    if (header === undefined) return 'should begin a file, whose first line is broken';
    const { size, hash } = this.#chain.head;
    if (header.first !== first || first !== size + 1) {
      return 'is missing: the next file does not begin with it';
    }
    if (!equalBytes(header.before, hash))
      return 'begins a file that does not continue the one before';
    return header.origin === this.#origin ? undefined : 'begins a file of another log';
  }

  /** Holds the tree against every checkpoint of this size. */
  #compare(): void {
    const { size } = this.#tree;
    if (this.#nextSize !== size) return;
    const root = this.#tree.root();
    const first = this.#next;
    for (; this.#nextSize === size; this.#goTo(this.#next + 1)) {
      if (this.#claimed.hasRoot(this.#next, root)) continue;
      if (this.#claimed.open(this.#next) === undefined) {
        this.#unsigned.add(this.#next);
        continue;
      }
      // One of the same size that agrees says as little as this one: the change is after those before both.
      this.#goTo(first);
      const from = (this.#agreedBefore(first)?.size ?? 0) + 1;
      this.#flaw ??= {
        index: from,
        what: `one of the records ${from} to ${size} was changed and the chain computed anew: the signed checkpoint over ${size} records has another root`,
      };
      return;
    }
  }

  #goTo(at: number): void {
    this.#next = at;
    this.#nextSize = at < this.#claimed.count ? this.#claimed.sizeAt(at) : -1;
  }

  /** The newest signed checkpoint before a note that agrees with the records. */
  #agreedBefore(end: number): Checkpoint | undefined {
    for (let at = end - 1; at >= 0; at -= 1) {
      const checkpoint = this.#unsigned.has(at) ? undefined : this.#claimed.open(at);
      if (checkpoint !== undefined) return checkpoint;
    }
    return undefined;
  }

  /** A signed checkpoint over more records than there are. */
  #beyond(): Checkpoint | undefined {
    for (let at = this.#next; at < this.#claimed.count; at += 1) {
      const checkpoint = this.#claimed.open(at);
      if (checkpoint !== undefined) return checkpoint;
    }
    return undefined;
  }

  #fail(what: string): void {
    const index = this.#tree.size + 1;
    this.#flaw = { index, what: `record ${index} ${what}` };
  }
}
