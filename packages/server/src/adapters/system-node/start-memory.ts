import { collectThoroughly } from './collect.ts';

/** Ready is ready at once; the memory that starting took goes back when nobody waits for it. */
const settleMs = 500;

/**
 * Collects once and thoroughly, a moment from now: what loading code left behind would otherwise stay in an idle
 * process for hours (7 MB of the main thread, 3 MB of the store's). Each thread calls it for its own heap.
 */
export function returnStartMemory(): void {
  setTimeout(collectThoroughly, settleMs).unref();
}
