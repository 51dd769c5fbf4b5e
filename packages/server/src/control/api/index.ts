/**
 * @module The admin API: one table of operations, from which the routes, the OpenAPI file and the audit names come,
 * as a Hono app and the bridge that mounts it behind our own listeners.
 *
 * Promises: a caller is permitted before anything of the request is read; schemas are strict, so that no member
 * slips into a record; every operation, allowed or refused, leaves a line; errors have one envelope and an id.
 * Refuses: identity (the listener's gate), CORS (there is none), paths chosen by callers.
 */
export * from './app.ts';
export * from './bridge.ts';
export { openApiDocument } from './openapi.ts';
export type { AuditFilter, AuditTools } from './audit-desk.ts';
export type { CheckDesk, CheckGiven } from './check-desk.ts';
export type { IncidentDesk } from './incident-desk.ts';
export type { MeshDesk } from './mesh-desk.ts';
export type { MoneyTools } from './money-desk.ts';
export { envelopeOf } from './envelope.ts';
export type { AnyOperation, OperationContext, OperationName } from './operation.ts';
export { apiPrefix, operations } from './operations.ts';
export type { Permit, RawInput, RequestFacts } from './perform.ts';
export { performOperation, permitted } from './perform.ts';
export type { ModelsView, RuntimeView } from './runtime-desk.ts';
