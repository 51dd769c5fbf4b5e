import type { Result } from '@postern/core/base';
import type { Head, JournalRow } from '@postern/core/state';

/** Why a store could not do what was asked. It says nothing about the caller: the edge answers 503. */
export interface StoreFailure {
  readonly kind:
    | 'unavailable' // cannot be reached or opened now, or failed in a way that has no better name
    | 'full' // no space, or its own limit reached
    | 'in_use' // another process owns it
    | 'corrupt' // its content contradicts itself
    | 'unsupported' // written by a release that this one cannot read or migrate
    | 'conflict' // somebody else wrote in between
    | 'refused'; // what was asked for would harm: a target that is not empty, a fork
  /** One sentence for the operator: what, why, what to do. */
  readonly message: string;
}

/** The state at some record as one text, so that a start need not replay everything. */
export interface StoredState {
  readonly head: Head;
  readonly atMs: number;
  /** `encodeState`; the store has checked its digest. */
  readonly body: string;
}

export interface Loaded {
  /** The newest materialised state that is whole, if any. */
  readonly state: StoredState | undefined;
  /** The rows after it, or the first page of them. */
  readonly rows: readonly JournalRow[];
  /** The last record of the journal. */
  readonly head: Head;
}

export interface VerifyReport {
  readonly intact: boolean;
  readonly records: number;
  readonly head: Head;
  /** What is wrong, in sentences; empty where the store is intact. */
  readonly findings: readonly string[];
}

/** What a backup file says about itself. */
export interface BackupManifest {
  readonly format: 'postern-backup';
  readonly version: 1;
  readonly createdAtMs: number;
  /** Version of the schema of the database inside. */
  readonly schema: number;
  readonly records: number;
  readonly headIndex: number;
  readonly headHash: string;
  /** Size and SHA-256 of the database inside. */
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Where the journal is kept. One owner at a time. A store knows the chain (it refuses rows that do not continue it)
 * but not what rows mean, except to materialise and verify them.
 */
export interface Store {
  /** What there is: from the newest whole materialised state, or from the first record. */
  load(from: 'state' | 'genesis'): Promise<Result<Loaded, StoreFailure>>;
  /** A page of the rows after an index, in order; empty at the end. */
  readAfter(index: number): Promise<Result<readonly JournalRow[], StoreFailure>>;
  /** All rows or none; resolves only when they survive a loss of power. `conflict` where they do not continue the journal. */
  append(rows: readonly JournalRow[]): Promise<Result<void, StoreFailure>>;
  /** Brings the materialised state up to the last record. The journal stays as it is. */
  materialise(): Promise<Result<Head, StoreFailure>>;
  /** A consistent copy into one new file, while writes go on. */
  backup(file: string): Promise<Result<BackupManifest, StoreFailure>>;
  /** Reads everything and recomputes every hash. */
  verify(): Promise<Result<VerifyReport, StoreFailure>>;
  /** Lets go of the store. Afterwards every call fails. */
  close(): Promise<void>;
}
