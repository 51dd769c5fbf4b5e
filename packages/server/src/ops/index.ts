/**
 * @module Operations: what is checked, what is wrong and what is done in an incident, as tables of findings and steps.
 *
 * Promises: verdicts come from facts of the running instance, never from what somebody wrote down; what could not be
 * looked at is `unknown`. Refuses: looking and acting by itself (ports, which the composition root fills).
 */
export * from './check/index.ts';
export * from './doctor/index.ts';
export * from './finding/index.ts';
export * from './firewall/index.ts';
export * from './incident/index.ts';
export * from './network/index.ts';
export * from './upgrade/index.ts';
