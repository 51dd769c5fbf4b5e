/**
 * @module Attestation: evidence bytes → claims → verdict under a policy.
 */
export * from './amd/index.ts';
export * from './appraise/index.ts';
export * from './claims.ts';
export type * from './crypto-port.ts';
export * from './dstack/index.ts';
export * from './finding.ts';
export * from './intel/index.ts';
export * from './nitro/index.ts';
export * from './ratls/index.ts';
export * from './token/index.ts';
export { vendorAnchors } from './vendor/index.ts';
export type { RootPins, TrustAnchors, Window } from './vendor/index.ts';
export type * from './verifier-context.ts';
