/**
 * @module What can be wrong with a machine on its private network, as a table of findings over facts.
 *
 * Promises: every row says what is so, why it matters and what to type next; what was not looked at is `unknown`.
 * Refuses: looking by itself (the composition root fills the facts).
 */
export * from './facts.ts';
export { judgeNetwork, networkFindingKinds } from './rows.ts';
export * from './serve.ts';
