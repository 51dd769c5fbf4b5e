/**
 * @module Looks whether a registered node answers: a TCP connection, or a GET that wants 2xx.
 *
 * Promises: one address (the preferred one) at the port that the node named; every failure is one sentence. Refuses:
 * nodes without an address or a port, redirects, bodies. Limits: the rule's time.
 */
export * from './probe.ts';
