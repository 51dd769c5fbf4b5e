/**
 * @module Attestation documents of the AWS Nitro Security Module.
 *
 * Promises: strict CBOR within AWS's own bounds, ES384 only, the chain to the pinned root, PCR 0 to 2 present.
 * Refuses: debug enclaves are named as such; NitroTPM quotes, which are another format.
 */
export { parseNitroDocument } from './document.ts';
export type { NitroDocument } from './document.ts';
export { type NitroContext, verifyNitroDocument } from './verify.ts';
