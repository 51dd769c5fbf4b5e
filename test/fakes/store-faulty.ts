import { err } from '@postern/core/base';
import type { Store, StoreFailure } from '@postern/server/control';

/** When a call fails: `before` it does anything, or `after` it did everything and only its answer is lost. */
export type FaultTime = 'before' | 'after';

/** Decides for each call, counted from 1 over the whole life of the store, whether and when it fails. */
export type FaultPlan = (call: number, method: keyof Store) => FaultTime | undefined;

export const lostAnswer: StoreFailure = { kind: 'unavailable', message: 'The disk went away.' };

/** A store that fails by plan, around any other. Closing never fails. */
export function createFaultyStore(store: Store, plan: FaultPlan): Store {
  let calls = 0;
  const through = async <T>(method: keyof Store, real: () => Promise<T>): Promise<T> => {
    calls += 1;
    const time = plan(calls, method);
    // Every method but `close` answers with a Result, so that a failure is one of its answers.
    const failure = err(lostAnswer) as T;
    if (time === 'before') return failure;
    const answer = await real();
    return time === 'after' ? failure : answer;
  };
  return {
    load: (from) => through('load', () => store.load(from)),
    readAfter: (index) => through('readAfter', () => store.readAfter(index)),
    append: (rows) => through('append', () => store.append(rows)),
    materialise: () => through('materialise', () => store.materialise()),
    backup: (file) => through('backup', () => store.backup(file)),
    verify: () => through('verify', () => store.verify()),
    close: () => store.close(),
  };
}
