/**
 * @module The embedded responder: Weizenbaum's script of 1966 as a provider.
 *
 * Promises: deterministic, streaming, no network, no state. Refuses: pretending to be a language model.
 */
export * from './eliza.ts';
export * from './provider.ts';
