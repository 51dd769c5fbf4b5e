/**
 * @module The data plane: accept ► identify ► decode ► admit ► route ► dispatch ► relay ► settle ► record.
 *
 * Promises: each stage gives a wider value or a refusal; one rescue answers refusals and faults in the caller's own
 * format; a settlement is made exactly once for every request, also when the caller leaves; a broken stream never
 * looks complete. Refuses: reading the database, configuration files or credentials; it reads the frozen view.
 *
 * Budget of a plain request (turns of text, a whole answer, the same format on both sides): two reads and two writes of
 * sockets, a third of its time (writes go out at the end of a turn of the loop, with the others of that turn); from its
 * last byte to the request upstream no promise, and none from the answer to the caller's (7 promises in all: who waits for
 * whom); the body's text once, no tree of it and no turn of it (4 %), its bytes sent on as they came where nothing has to
 * change; of the answer the last members, with its usage (2 %); no hash of a credential in a head that came before; names, terms, attempts, heads and most of its
 * line and record remembered by the objects that they were made from (policy, money and routing 5 %, line, record and
 * counts 11 %); no timer and no entry in a set of its own; its line of the log and its record are written together with
 * those of others. It allocates 24 KB, of which nothing is to grow old: no map that churns, no text of a number that only
 * grows. The bench `gateway` measures what that comes to,
 * `bench/RESULTS.md` says it in microseconds.
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
export type * from './view.ts';
export type { ReceiptDesk } from './receipt.ts';
export * from './routes.ts';
export type * from './whoami.ts';
