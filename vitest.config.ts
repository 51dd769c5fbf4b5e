import { defineConfig } from 'vitest/config';

/**
 * Limits of the runner say only that something hangs, on the slowest machine too: what is promised in so many seconds is
 * measured by the test itself.
 */
const hangs = { hookTimeout: 120_000, expect: { poll: { timeout: 10_000 } } } as const;

/** `fast` is what `npm test` runs; `slow` holds the suites that take minutes (crash cycles, fuzz campaigns). */
export default defineConfig({
  test: {
    globalSetup: './test/build-once.ts',
    projects: [
      {
        test: {
          name: 'fast',
          include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: ['**/*.slow.test.ts', '**/node_modules/**'],
          testTimeout: 60_000,
          ...hangs,
        },
      },
      {
        test: {
          name: 'slow',
          include: ['packages/*/src/**/*.slow.test.ts', 'test/**/*.slow.test.ts'],
          testTimeout: 900_000,
          fileParallelism: false,
          ...hangs,
        },
      },
    ],
  },
});
