/**
 * @module Attestation by token: NVIDIA GPUs (detached EAT) and Microsoft Azure Attestation.
 *
 * Promises: strict JSON, one algorithm an issuer, parts bound to the whole by digest, times checked.
 * Refuses: checking signatures itself (the caller's JOSE library does, before), `alg: none`, following
 * key addresses out of a token. An unsigned GPU report counts only by a hash out of the measured boot.
 */
export { type AzureContext, verifyAzureToken } from './azure.ts';
export type { TokenSignature } from './jwt.ts';
export { type GpuContext, gpuTokens, verifyGpuEvidence } from './nvidia.ts';
