/**
 * @module Change control of the policy in force: plan, approve, apply on trial, confirm, roll back.
 *
 * Promises: nothing is written blind (every change names the policy that it was made from); what is refused changes
 * nothing; a high risk needs a second person or the owner of the control socket; a trial that nobody confirms is
 * taken back, also after a restart; a rollback that is not possible alarms. Refuses: reading files (app), deciding
 * requests (the access adapter), permission (the gate of the listener). Reasoning is loaded with its first use.
 */
export type { Assessment } from './assess.ts';
export * from './ports.ts';
export * from './policy-control.ts';
export * from './questions.ts';
export * from './trial.ts';
