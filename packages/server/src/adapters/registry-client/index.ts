/**
 * @module A node's way to a registry: asks to join, registers, renews its lease, leaves.
 *
 * Promises: every failure is a sentence and says whether trying again may help; the credential goes to the one server
 * that it is for. Refuses: redirects, answers of another shape, answers over 256 KiB.
 */
export * from './client.ts';
