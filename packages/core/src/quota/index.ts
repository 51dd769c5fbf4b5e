/**
 * @module How much a caller may use: requests and tokens a minute, requests at a time, money.
 *
 * Promises: whole numbers, never NaN, never below zero by a caller's doing; N requests side by side against room for k
 * admit exactly k; a reservation ends exactly once; nothing used is dropped, nothing granted is spent twice; a clock that jumps grants
 * at most a burst or a capacity, never the same refill twice. `Account` is the durable side (one transaction in a store), `Till` what a process
 * spends of it from memory; `leaseSlice`, `reportSlice`, `returnIdle` and `endSlice` are all that passes between them.
 * After a crash what nothing proves unspent is `lost`, that is, counts as spent.
 * Refuses: clocks, stores, knowledge of prices and requests. Limits: nine million USD in an account, 1,024 processes at an account,
 * a million open requests in a process, 256 accounts a request, rate periods of 31 days.
 */
export * from './account-now.ts';
export * from './account.ts';
export * from './amount.ts';
export * from './bank.ts';
export * from './budget.ts';
export * from './concurrency.ts';
export * from './gcra.ts';
export * from './rate-bucket.ts';
export * from './refill.ts';
export * from './slices.ts';
export * from './till.ts';
