/**
 * @module Acts on a model server by a call to whatever runs it: starts it anew, gives it a new key.
 *
 * Promises: through the one way out, to the address that the operator wrote; its token is read afresh. Refuses:
 * redirects, answers beyond 64 KiB.
 */
export * from './operate-http.ts';
export * from './upstream.ts';
