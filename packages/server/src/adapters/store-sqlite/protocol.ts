import type { Result } from '@postern/core/base';
import type { Store, StoreFailure } from '../../control/store.ts';

/** What the worker is started with. */
export interface WorkerSettings {
  readonly dir: string;
  readonly bytesMax: number;
}

export type Method = keyof Store;

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
