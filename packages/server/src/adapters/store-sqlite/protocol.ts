import type { Result } from '@postern/core/base';
import type { Store, StoreFailure } from '../../control/store.ts';
import type { LeaseStore } from '../../control/registry/ports.ts';
import type { BankPage, SliceBank } from '../../gateway/money/bank.ts';

/** What the worker is started with. */
export interface WorkerSettings {
  readonly dir: string;
  readonly bytesMax: number;
}

/** What of the bank is asked of the database. */
export type BankMethod = 'change' | 'accounts' | 'usage' | 'stale';

/** What moves the money to another store. */
export interface MoneySource {
  /** The page of that number, from 0; empty after the last. Nobody may change the money meanwhile. */
  moneyPage(page: number): Promise<Result<BankPage, StoreFailure>>;
}

/** Every method that the thread answers, with its type. */
export type Methods = Store & Pick<SliceBank, BankMethod> & LeaseStore & MoneySource;

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
