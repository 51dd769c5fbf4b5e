/**
 * @module JSON at the edge: strict reading of RFC 8259 within limits, and edits that leave every other byte alone.
 *
 * Promises: a value that is read once is read the same way by everybody (UTF-8 only, no duplicate keys in any
 * spelling, finite numbers); objects have no prototype, so `__proto__` is an ordinary key; time and memory grow
 * with the length of the text and nothing else; a refusal says line, column and one sentence.
 * Refuses: comments and trailing commas (that is `base/hujson`), and numbers beyond the range of a double.
 * Limits: integers beyond 2^53 lose digits in the value, as in every JSON library for JavaScript; edits of the text
 * keep them.
 */
export * from './limits.ts';
export * from './members.ts';
export * from './parse.ts';
export type { JsonProblem, JsonProblemReason } from './problem.ts';
