import { defineConfig } from 'vitest/config';

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
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'slow',
          include: ['packages/*/src/**/*.slow.test.ts', 'test/**/*.slow.test.ts'],
          testTimeout: 900_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
