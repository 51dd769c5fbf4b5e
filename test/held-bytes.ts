import { collectThoroughly } from '../packages/server/src/adapters/system-node/collect.ts';

/** What this thread's heap and its buffers still hold once everything is collected that can be: garbage is nobody's leak. */
export function heldBytes(): number {
  collectThoroughly();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
