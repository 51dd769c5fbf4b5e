/**
 * @module What a registry is made of: instances of services by type, in order, and their leases.
 *
 * Promises: strict shapes with limits; a page of a type is found in O(log n + page) and in the same order everywhere;
 * a lease that is over is over at that millisecond, whoever looks. Refuses: deciding who may register (core/state),
 * clocks, storage, keys. Limits: `registryLimits`.
 */
export * from './instance.ts';
export * from './leases.ts';
export * from './limits.ts';
export * from './names.ts';
export * from './roster.ts';
