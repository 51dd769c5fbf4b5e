/**
 * @module Engines that others run, over their HTTP APIs: one way to call, and the Tailscale API v2 on it.
 *
 * Promises: one sentence for each failure, with what to do; reads are repeated while an engine restarts, writes never;
 * no credential leaves in a message. Refuses: answers beyond 16 MiB, bodies that do not have the shape of the API.
 */
export * from './api.ts';
export * from './v2.ts';
