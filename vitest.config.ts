import { defineConfig } from 'vitest/config';

/**
 * Limits of the runner say only that something hangs, on the slowest machine too: what is promised in so many seconds is
 * measured by the test itself.
 */
const hangs = { hookTimeout: 120_000, expect: { poll: { timeout: 10_000 } } } as const;

/**
 * Node takes the types out of our sources by WebAssembly, here also in the worker threads of gateways that run in a test's
 * own process. V8 crashes about once in seventy such processes on a busy machine, where it makes a wrapper of the module quicker in one thread
 * (`Runtime_TierUpWasmToJSWrapper`, `NativeModule::FreeCode`): it is told not to. What users run is a bundle without types.
 */
const execArgv = ['--wasm-wrapper-tiering-budget=2000000000', '--no-wasm-code-gc'];

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
          execArgv,
          ...hangs,
        },
      },
      {
        test: {
          name: 'slow',
          include: ['packages/*/src/**/*.slow.test.ts', 'test/**/*.slow.test.ts'],
          testTimeout: 900_000,
          fileParallelism: false,
          execArgv,
          ...hangs,
        },
      },
    ],
  },
});
