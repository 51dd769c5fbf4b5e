import type { Result } from '@postern/core/base';
import type { Store, StoreFailure } from '../../control/store.ts';
import type { LeaseStore } from '../../control/registry/ports.ts';
import type { SliceBank } from '../../gateway/money/bank.ts';

/** What the worker is started with. */
export interface WorkerSettings {
  readonly dir: string;
  readonly bytesMax: number;
}

/** What of the bank is asked of the database. */
export type BankMethod = 'change' | 'accounts' | 'usage' | 'stale';

/** Every method that the thread answers, with its type. */
export type Methods = Store & Pick<SliceBank, BankMethod> & LeaseStore;

export type Method = keyof Methods;

export interface Call {
  readonly id: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}

/** The answer to a call; id 0 answers the start itself. */
export interface Answer {
  readonly id: number;
  readonly result: Result<unknown, StoreFailure>;
}
