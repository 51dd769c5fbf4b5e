/**
 * @module Connects to an upstream, straight or through a proxy, after judging where that is.
 *
 * Promises: the address is resolved and judged here at the moment of connecting, and the socket goes to that very address; certificates are
 * always verified, against the system's authorities and those of the place. Refuses: answers of a name that mix kinds of addresses, internal
 * addresses that no operator wrote, proxies of the environment. Limits: `../limits.ts`.
 */
export { type AddressClass, classifyAddress, setOf } from './address-rules.ts';
export { type DialContext, Dialer, type Resolve } from './dialer.ts';
