/**
 * @module AMD SEV-SNP attestation reports, versions 2 to 5, signed by chip keys (VCEK) or cloud keys (VLEK).
 *
 * Promises: the signature, the chain to a pinned ARK, the chip id and the patch level of the certificate
 * are checked, and reserved fields are zero. Refuses: fetching certificates, SEV and SEV-ES.
 */
export { parseSnpReport, snpReportBytes } from './report.ts';
export type { SnpReport } from './report.ts';
export { type SnpContext, verifySnpReport } from './verify.ts';
