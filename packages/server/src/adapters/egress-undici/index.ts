/**
 * @module The one way out, over undici.
 *
 * Promises: the address is resolved and judged by us at the moment of connecting, and the socket goes to that very
 * address; certificates are always verified; every phase of a call has its own time; a broken answer never looks
 * complete; cancelling closes the socket at once. Refuses: redirects (they are answers), proxies of the environment,
 * compression, HTTP/2, user info, retries. Limits: `limits.ts`.
 */
export { type AddressClass, classifyAddress } from './address-rules.ts';
export type { Resolve } from './dial.ts';
export { createEgress, type EgressHandle, type EgressOptions } from './egress.ts';
export { type EgressLimits, egressLimits } from './limits.ts';
