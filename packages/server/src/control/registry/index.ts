/**
 * @module The registry as it runs: who may register, leases beside the journal, discovery, changes as they happen,
 * the JSON API (`api`, loaded by its
 * first request) and the routes of DStack VPC.
 *
 * Promises: only its owner changes an instance; a heartbeat that was acknowledged outlives a crash; nobody is sent to
 * an instance whose lease is over; after a restart whoever was alive has a whole lease. Refuses: addresses outside
 * `networks`, app ids in headers, callers whom no rule names. Limits: `registryLimits` of core.
 */
export type { InstanceChange } from './changes.ts';
export { vpcRoutes } from './vpc-routes.ts';
export type { Health, HealthRule, HealthState, Probe } from './health.ts';
export type * from './ports.ts';
export * from './registry.ts';
export { followServiceNames, type NamedAddress } from './service-names.ts';
export { anyApp } from './rights.ts';
export { watchPath, watchRoute } from './watch-route.ts';
