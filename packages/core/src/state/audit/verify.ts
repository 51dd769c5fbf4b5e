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
 * Verifies a log line by line: every hash, every place, every signed checkpoint. Stops at the first flaw, since nothing
 * after it is known to be what was written. Checkpoints are given with their signatures verified, in any order.
 */
export class LogVerifier {
  readonly #chain: Chain;
  readonly #tree: TreeEdge;
  readonly #checkpoints: readonly Checkpoint[];
  readonly #onRecord: ((record: PlacedRecord, hash: Uint8Array) => void) | undefined;
  #next = 0;
  readonly #origin: string;
  #agreed: Checkpoint | undefined;
  #flaw: LogFlaw | undefined;
  #tornBytes = 0;

  constructor(options: {
    readonly sha256: Sha256;
    /** Which log it must be: the name of the key that signs for it. */
    readonly origin: string;
    readonly checkpoints: readonly Checkpoint[];
    readonly onRecord?: (record: PlacedRecord, hash: Uint8Array) => void;
  }) {
    this.#origin = options.origin;
    this.#chain = new Chain(options.sha256);
    this.#tree = new TreeEdge(options.sha256);
    this.#checkpoints = options.checkpoints.toSorted((a, b) => a.size - b.size || a.atMs - b.atMs);
    this.#onRecord = options.onRecord;
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
    const beyond = this.#checkpoints.find(({ size }) => size > records);
    if (this.#flaw === undefined && beyond !== undefined) {
      this.#fail(`is missing, although a checkpoint over ${beyond.size} records was signed`);
    }
    return {
      records,
      flaw: this.#flaw,
      agreed: this.#agreed,
      uncovered: records - (this.#agreed?.size ?? 0),
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
    for (;;) {
      const checkpoint = this.#checkpoints[this.#next];
      if (checkpoint?.size !== size) return;
      this.#next += 1;
      if (!equalBytes(checkpoint.root, this.#tree.root())) {
        const from = (this.#agreed?.size ?? 0) + 1;
        this.#flaw ??= {
          index: Math.min(from, Math.max(size, 1)),
          what: `one of the records ${from} to ${size} was changed and the chain computed anew: the signed checkpoint over ${size} records has another root`,
        };
        return;
      }
      this.#agreed = checkpoint;
    }
  }

  #fail(what: string): void {
    const index = this.#tree.size + 1;
    this.#flaw = { index, what: `record ${index} ${what}` };
  }
}
