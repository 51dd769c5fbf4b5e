/**
 * @module The shapes that cross the border: configuration now, HTTP bodies and events beside it.
 *
 * Promises: each shape has one schema, from which types, JSON Schema and reference pages come. Refuses: reading
 * files, environment or network.
 */
export * from './config.ts';
export * from './config-audit.ts';
export * from './config-budgets.ts';
export type { EngineSettings } from './config-engine.ts';
export * from './config-identities.ts';
export type { AttestedConfig } from './config-attested.ts';
export * from './config-mesh.ts';
export type { RestartBy, RotateBy } from './config-operate.ts';
export * from './config-policy.ts';
export * from './config-prices.ts';
export * from './config-providers.ts';
export * from './config-routing.ts';
export type { SchemaIssue } from './schema-issue.ts';
export * from './config-store.ts';
export * from './config-telemetry.ts';
