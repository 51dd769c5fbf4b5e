/**
 * @module The public-key infrastructures of hardware vendors: Intel, AMD, AWS.
 *
 * Promises: strict DER, chains of a fixed shape to a root that is pinned byte for byte, authenticated
 * revocation lists. Refuses: names, policies, path building beyond issuer order, roots from evidence.
 */
export * from './certificate.ts';
export * from './chain.ts';
export * from './pins.ts';
export * from './revocation.ts';
