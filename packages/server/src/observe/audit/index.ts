/**
 * @module The audit log as the planes see it: what is recorded of a request and of an operation, and the port of the
 * log that keeps it.
 *
 * Promises: nothing of a body, a credential or a query in a record; a record is integers, short texts and booleans.
 * Refuses: files (adapters/segment-file), deciding what happens to requests that cannot be recorded (app).
 */
export * from './mesh-counts.ts';
export * from './named.ts';
export type * from './port.ts';
export * from './refusal-counts.ts';
export * from './request-record.ts';
export * from './spent-marks.ts';
export * from './spent-proof.ts';
