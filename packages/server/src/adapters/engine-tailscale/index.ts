/**
 * @module Tailscale as the engine: its API v2, signed on to with an API key or an OAuth client.
 *
 * Promises: one fetch of a token at a time, kept until shortly before it ends, fetched anew where it is refused;
 * no credential in any message. Refuses: what the port says Tailscale cannot do. Limits: those of `control/engine/remote`.
 */
export * from './engine.ts';
