/**
 * @module Operations on the machines, people and keys of the embedded engine.
 *
 * Promises: every change is a journal record with who asked; secrets leave once. Refuses: what only the running
 * engine can do, where it is off. Limits: those of `core/state`.
 */
export * from './network.ts';
export type * from './ports.ts';
