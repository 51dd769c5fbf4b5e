/**
 * @module What the planes tell about themselves: the log now, metrics and the audit tree beside it.
 *
 * Promises: one line for each request, every line one JSON object, nothing of a body or a credential in it. Refuses:
 * deciding anything and blocking the caller.
 */
export * from './access-log.ts';
export * from './log.ts';
export type * from './settlement.ts';
