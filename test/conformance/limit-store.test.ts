import { createMemoryLimits } from '@postern/server/adapters/limits-memory';
import type { LimitPlace } from './limit-store-suite.ts';
import { describeLimitStore } from './limit-store-suite.ts';

describeLimitStore('memory', (): Promise<LimitPlace> => {
  let nowMs = 1_000_000;
  const store = createMemoryLimits({ nowMs: () => nowMs });
  return Promise.resolve({
    // One process has one of them.
    open: () => Promise.resolve(store),
    wait: async (ms) => {
      nowMs += ms;
    },
    remove: () => Promise.resolve(),
  });
});
