/**
 * @module The data plane: accept ► identify ► decode ► admit ► route ► dispatch ► relay ► settle ► record.
 *
 * Promises: each stage gives a wider value or a refusal; one rescue answers refusals and faults in the caller's own
 * format; a settlement is made exactly once for every request, also when the caller leaves; a broken stream never
 * looks complete. Refuses: reading the database, configuration files or credentials; it reads the frozen view.
 */
export type * from './attempts.ts';
export * from './catalog.ts';
export * from './fleet/index.ts';
export * from './health.ts';
export * from './identify.ts';
export type * from './identity-ports.ts';
export * from './limits.ts';
export type { PipelineOptions, Step } from './pipeline.ts';
export type * from './ports.ts';
export * from './routes.ts';
export type * from './whoami.ts';
