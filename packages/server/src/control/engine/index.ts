/**
 * @module What coordinates the network behind one port: the embedded engine here, others as adapters.
 *
 * Promises: what an engine cannot do is refused by name and listed as data; a policy is written only over the one
 * that was read; secrets leave once; every change through `recordedEngine` has its line in the audit log.
 * Refuses: choosing the engine (app), speaking with others (adapters).
 */
export * from './capabilities.ts';
export { embeddedEngine } from './embedded.ts';
export type * from './outside.ts';
export * from './policy-keeper.ts';
export { recordedEngine } from './recorded.ts';
export * from './ports.ts';
