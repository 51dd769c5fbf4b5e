/**
 * @module Findings: what can be wrong, as rows of tables, and what a look at each found.
 *
 * Promises: an id that never changes, a sentence of what is so, why it matters and what to type next; `unknown` never
 * counts as good; evidence never holds a secret. Refuses: looking (whoever knows the thing does), I/O.
 */
export * from './finding.ts';
export * from './report.ts';
