/**
 * @module The pure heart of the control plane: commands in, events out, and the state that they add up to.
 *
 * Promises: `decide` and `reduce` are pure and total; a refused command changes nothing; states and snapshots are
 * immutable and share what did not change, so that one may be handed out after every commit; keys and revocations
 * are found in constant time; a journal has one text and one hash chain; no secret is in any of it.
 * Refuses: permission (who may use which command is decided before), storage, hashing and randomness (passed in).
 * Limits: `stateLimits`.
 */
export * from './canonical.ts';
export { decodeState, encodeState } from './codec.ts';
export type * from './command.ts';
export type * from './containment-command.ts';
export * from './containment-state.ts';
export * from './decide.ts';
export * from './glob.ts';
export * from './journal.ts';
export * from './limits.ts';
export * from './lookup.ts';
export type * from './model.ts';
export type * from './network.ts';
export { userRoles, userSubjectKey } from './network.ts';
export type * from './network-command.ts';
export { findNode, isNodeExpired, preAuthKeyProblem } from './network-decide.ts';
export { isLabel, labelOf } from './network-name.ts';
export { defaultDns } from './network-state.ts';
export { currentPolicy, findPlan, noPolicy, policyDigest } from './policy-state.ts';
export { emptyState, reduce } from './reduce.ts';
export type * from './registry-command.ts';
export type { Group, RegistryState } from './registry-state.ts';
export { epochOf, rosterOf } from './registry-state.ts';
export { coversNetworkScope } from './scope.ts';
export * from './secret-text.ts';
export * from './table.ts';
