import type { Result } from '@postern/core/base';
import type { AuditRecord, ChainHead, PlacedRecord } from '@postern/core/state/audit';

/**
 * `control`: what operators and the log itself do; there is room for it when there is none for anything else. `data`:
 * what callers do.
 */
export type AuditLane = 'control' | 'data';

/**
 * `full`: no space on the disk. `failing`: the disk refuses. `slow`: it neither takes nor refuses what waits; there is
 * room for the records of what is under way, and nothing new should begin. All heal by themselves once the cause is gone.
 */
export type LogHealth =
  | { readonly kind: 'good' }
  | { readonly kind: 'full' | 'failing'; readonly why: string }
  | { readonly kind: 'slow'; readonly why: string };

/** Why a record was not taken. Whatever it is about must not happen, unless the operator decided otherwise. */
export interface AppendRefusal {
  readonly kind: 'full' | 'failing' | 'busy' | 'too_long' | 'closed';
  readonly why: string;
}

/** An append-only log of chained records in files, for whoever must know that what happened is not forgotten. */
export interface SegmentLog {
  /**
   * Gives a record its place. Cheap, never waits: the record is on the disk once `durableIndex` has reached the index
   * that this returns, a few milliseconds later. A refused record has no place, and the log goes on without it.
   */
  append(record: AuditRecord, lane?: AuditLane): Result<number, AppendRefusal>;
  /** Records up to this one survive kill -9 and a loss of power. 0: none. */
  readonly durableIndex: number;
  /** Resolves once the record is durable; false where the log was closed before it was. */
  whenDurable(index: number): Promise<boolean>;
  /** Durable records from one index up to and including another, in order. */
  read(from: number, to: number): AsyncIterable<PlacedRecord>;
  readonly health: LogHealth;
  /** Records that were not taken since the log was opened. */
  readonly refused: number;
}

/** A log with the tree over it, as whoever signs checkpoints needs it. */
export interface TreeLog extends SegmentLog {
  /** The log as it is now, with what was not written yet. */
  mark(): LogMark;
  /** Writes what waits and closes the file. Returns how many records could not be written. */
  close(): Promise<number>;
}

export interface LogMark {
  readonly head: ChainHead;
  readonly root: Uint8Array;
  /** The right edge of the tree: with it a log is opened without reading what is before. */
  readonly edge: readonly Uint8Array[];
}
