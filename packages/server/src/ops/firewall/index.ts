/**
 * @module Who may reach whom in an environment, computed from configuration and policy: as a table and as firewalls.
 *
 * Promises: what is not in the table is denied; every format says the same; each row says where it comes from.
 * Refuses: applying anything, names in firewalls that only take addresses (they are said instead).
 */
export * from './aws.ts';
export * from './compare.ts';
export * from './hosts.ts';
export * from './kubernetes.ts';
export * from './plan.ts';
export * from './render.ts';
export * from './rules.ts';
