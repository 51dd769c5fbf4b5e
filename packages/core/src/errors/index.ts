/**
 * @module The closed table of refusals and the value that carries one.
 *
 * Promises: every code has one status, one name in each dialect, a meaning and a fix. Refuses: formatting for a
 * wire (dialects do that) and exceptions (a refusal is returned).
 */
export * from './refusal.ts';
export * from './table.ts';
