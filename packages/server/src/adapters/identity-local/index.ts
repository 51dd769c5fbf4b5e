/**
 * @module The local operator: is a loopback caller the person who started this process?
 *
 * Promises: every condition must hold, each refusal names its fix; who holds the other end of a connection is read
 * once at accept; what cannot be read counts against the caller. Refuses: believing loopback by itself, any header,
 * and anything inside a container. Limits: outside Linux the owner of a socket cannot be read, so there the other
 * conditions decide; a program of the same user that forwards connections of others is that user to us.
 */
export * from './facts.ts';
export * from './operator.ts';
export * from './peer.ts';
export type { ListProcesses } from './tailscaled.ts';
