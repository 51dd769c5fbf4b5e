/**
 * @module What coordinates the network behind one port: the embedded engine here, others as adapters.
 *
 * Promises: what an engine cannot do is refused and listed in its capabilities; a policy is written only over the one
 * that was read; secrets leave once. Refuses: choosing the engine (app).
 */
export { embeddedEngine } from './embedded.ts';
export type * from './ports.ts';
