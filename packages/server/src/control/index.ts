/**
 * @module The control plane shell: commands into the journal, snapshots out of it, and the operations on keys,
 * revocations and configuration. The admin API is in `control/api`, loaded only where a listener needs it.
 *
 * Promises: a command is acknowledged only when it is durable and published, so that its caller reads what it wrote;
 * commands that come together share one transaction; a store that fails is `state_unavailable`, never a refusal of
 * the caller, and heals without a restart; a secret leaves once, after its key is durable.
 * Refuses: permission (the caller of `execute` has decided), SQL (adapters), opening listeners (app).
 * Limits: `controlLimits`.
 */
export * from './audit.ts';
export type { Committed, CommitResult, StoreHealth } from './committer.ts';
export * from './config.ts';
export * from './containment.ts';
export * from './control.ts';
export * from './keys.ts';
export * from './limits.ts';
export * from './revocations.ts';
export * from './role.ts';
export type * from './store.ts';
export type * from './system.ts';
