import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Ready is ready at once; the memory that starting took goes back when nobody waits for it. */
const settleMs = 500;

/**
 * Collects once and thoroughly, a moment from now: what loading code left behind would otherwise stay in an idle
 * process for hours (7 MB of the main thread, 3 MB of the store's). Each thread calls it for its own heap.
 */
export function returnStartMemory(): void {
  setTimeout(() => {
    setFlagsFromString('--expose-gc');
    // The flag is the process's: another thread may have taken it back in between, and then this one collects later.
    const collect: unknown = runInNewContext('globalThis.gc');
    setFlagsFromString('--no-expose-gc');
    if (typeof collect === 'function')
      collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }, settleMs).unref();
}
