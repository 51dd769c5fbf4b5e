/**
 * @module HTTP for the planes: listeners with one kind of trust each, bounded requests, answers with back-pressure,
 * and the single way out (egress).
 *
 * Promises: a request that reaches a handler has one meaning, is within limits and carries no identity that its
 * sender wrote. Refuses: routing, identity, dialects, web-standard Request and Response.
 */
export type * from './exchange.ts';
export type * from './listener.ts';
export type * from './upstream.ts';
