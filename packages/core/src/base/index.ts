/**
 * @module Ground floor: results, assertions, bytes, secrets, bounded JSON, server-sent events.
 *
 * Promises: pure functions and small classes, every parser bounded. Refuses: I/O, clocks, randomness,
 * libraries. Larger formats have folders of their own beside this one (`base/hujson`, `base/netip`, `base/der`).
 */
export * from './assert.ts';
export * from './bytes.ts';
export * from './cause.ts';
export * from './churn-map.ts';
export * from './decimals.ts';
export * from './json/index.ts';
export * from './once.ts';
export * from './result.ts';
export * from './secret.ts';
export * from './soon.ts';
export * from './sse.ts';
export type * from './json-value.ts';
export * from './glob.ts';
