/**
 * @module The allow table of the configuration behind the gateway's access port.
 *
 * Promises: deny by default, first matching rule, keys never wider than their scope. Refuses: groups of its own,
 * network rules, explanations; the policy engine takes its place behind the same port.
 */
export * from './table.ts';
