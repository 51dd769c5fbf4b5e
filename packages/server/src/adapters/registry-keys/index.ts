/**
 * @module The keys that members of a node type share, derived from one secret.
 *
 * Promises: the same key for the same type and epoch in every process that has the secret; another epoch has another
 * key; the journal has none. Refuses: secrets of fewer than 32 bytes.
 */
export * from './group-keys.ts';
