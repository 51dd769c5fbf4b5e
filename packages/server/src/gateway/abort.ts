import type { CallSignal } from '../http/index.ts';

/** Resolves once the signal is aborted. Leaves a listener on a signal that never is: for the life of a request only. */
export function whenAborted(signal: CallSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
