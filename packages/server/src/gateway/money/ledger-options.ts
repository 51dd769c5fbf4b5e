import type { GatewayClock } from '../ports.ts';
import type { BankFailure, SliceBank, StaleSlice } from './bank.ts';

/** Why there is no money for a request. */
export type Shortage =
  | {
      readonly kind: 'exhausted';
      readonly account: string;
      /** What could be reserved at most now, nano-USD. */
      readonly room: number;
      readonly affordableAtMs?: number;
    }
  /** The store does not answer: nothing about the caller. */
  | { readonly kind: 'unavailable'; readonly failure: BankFailure }
  /** More requests or accounts than a process may have open. */
  | { readonly kind: 'too-many' };

export interface LedgerOptions {
  readonly bank: SliceBank;
  /** Never used before: the id of this process's slices. */
  readonly process: string;
  readonly clock: GatewayClock;
  /** After how long a silent process's slices are ended; 0 where no other process can have the bank open. */
  readonly staleAfterMs: number;
  /**
   * What durable records prove of a slice whose process is gone; without it all of the slice counts as spent. Rejects where they
   * cannot be read now.
   */
  readonly proofOf?: (
    slice: StaleSlice,
  ) => Promise<{ readonly usable: number; readonly settled: number } | undefined>;
  /** For the log: faults of the bank, overruns. */
  readonly onEvent?: (event: LedgerEvent) => void;
}

export type LedgerEvent =
  | { readonly kind: 'down' | 'up'; readonly message: string }
  /** What a process that is gone has spent cannot be read now; it is tried again. */
  | { readonly kind: 'unproven'; readonly message: string }
  | { readonly kind: 'overrun'; readonly accounts: readonly string[]; readonly amount: number }
  | { readonly kind: 'swept'; readonly account: string; readonly lost: number };
