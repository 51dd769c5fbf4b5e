/**
 * @module The data plane: accept ► identify ► decode ► admit ► route ► dispatch ► relay ► settle ► record.
 *
 * Promises: each stage gives a wider value or a refusal; one rescue answers refusals and faults in the caller's own
 * format; a settlement is made exactly once for every request, also when the caller leaves; a broken stream never
 * looks complete. Refuses: reading the database, configuration files or credentials; it reads the frozen view.
 *
 * Budget of a plain request (turns of text, a whole answer, the same format on both sides): two reads and two writes of
 * sockets; the body's text once and no tree of it; its text sent on as it is where nothing has to change; one tree of
 * the answer; no hash of a credential in a head that came before; no timer of its own; its line of the log and its
 * record are written together with those of others. The bench `gateway` measures what that comes to.
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
export type { ReceiptDesk } from './receipt.ts';
export * from './routes.ts';
export type * from './whoami.ts';
