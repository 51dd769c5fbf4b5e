/**
 * @module Attestation: evidence → verification → verdict. Is the peer the program that it claims to be, on hardware
 * that nobody can look into?
 *
 * Three steps, apart on purpose. *Verification* (`intel`, `amd`, `nitro`, `dstack`, `token`, `ratls`) checks every
 * signature and binding against pinned roots and gives facts and findings; *appraisal* (`appraise`) lets a policy
 * judge them; the *verdict* is what connections are allowed by, cached until anything under it ends.
 *
 * Promises: deny by default; all findings, each with a code of a closed table (`finding.ts`); collateral is an
 * input and is believed only with its own signatures; hostile bytes give findings, never exceptions.
 * Refuses: I/O, clocks and cryptography of its own (time, keys and the `CryptoPort` are arguments); roots that
 * come with the evidence; anything that a wrapper says and the hardware did not sign.
 * Limits: quotes 64 KiB, attestations 10 MiB, certificates 16 KiB (peers 64 KiB), 4,096 events.
 */
export * from './amd/index.ts';
export * from './appraise/index.ts';
export * from './chain-view.ts';
export * from './claims.ts';
export type * from './crypto-port.ts';
export * from './dstack/index.ts';
export * from './evidence.ts';
export * from './finding.ts';
export * from './intel/index.ts';
export * from './nitro/index.ts';
export * from './ratls/index.ts';
export * from './token/index.ts';
export { vendorAnchors } from './vendor/index.ts';
export type { RootPins, TrustAnchors, Window } from './vendor/index.ts';
export type * from './verifier-context.ts';
