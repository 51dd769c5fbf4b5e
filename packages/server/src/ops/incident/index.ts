/**
 * @module The steps of an incident, as programs: each acts on the running gateway through ports and shows what it did
 * by looking again.
 *
 * Promises: done once however often it is asked, and gone on with where it was broken off; `proven` only where every
 * proof holds, so that an effect which is missing shows; evidence names no secret. Refuses: opening sockets and files
 * (ports), deciding who may.
 */
export * from './evidence.ts';
export type * from './ports.ts';
export * from './run.ts';
export type { Progress } from './scribe.ts';
export { Scribe } from './scribe.ts';
export * from './step.ts';
export { credentialClasses, type CredentialClass } from './credential-class.ts';
