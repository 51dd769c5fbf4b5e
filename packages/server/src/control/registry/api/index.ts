/**
 * @module The JSON API of the registry: one table of operations, from which the routes and the OpenAPI document come.
 *
 * Promises: who asks is judged before anything of the request is read; shapes are strict; errors have the envelope of
 * the admin API. Refuses: identity (the listener's), CORS (there is none). Its schemas are loaded by its first caller.
 */
export * from './handler.ts';
export { registryApiPrefix, registryOperations } from './operations.ts';
