import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects everything that can be collected in the heap of this thread, and gives the pages back: 10 to 40 ms. */
export function collectThoroughly(): void {
  setFlagsFromString('--expose-gc');
  // The flag is the process's: another thread may have taken it back in between, and then this one collects later.
  const collect: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function')
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
