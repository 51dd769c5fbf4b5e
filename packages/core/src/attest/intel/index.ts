/**
 * @module Intel SGX and TDX quotes (versions 3, 4 and 5) with DCAP collateral.
 *
 * Promises: every signature, the binding of the quoting enclave, its vendor, the pinned root, both
 * revocation lists, TCB info, QE identity and TDX module identity are checked; all findings are given,
 * not the first. Refuses: fetching collateral, EPID, platform keys that a quote names in another way
 * than by its certificate chain. Limits: 64 KiB a quote, 256 kB a statement.
 */
export * from './collateral-source.ts';
export * from './collateral.ts';
export { parseIntelQuote, quoteBytesMax } from './quote.ts';
export type { IntelQuote, SgxBody, TdBody } from './quote.ts';
export { type CollateralSubject, collateralSubject, subjectOfCollateral } from './subject.ts';
export { type IntelContext, verifyIntelQuote } from './verify.ts';
