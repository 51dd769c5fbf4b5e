/**
 * @module AMD's certificates and revocation lists for SEV-SNP: fetched from AMD's Key Distribution Service, kept in
 * the state folder.
 *
 * Promises: everything is checked to the pinned ARK before it is stored, and again whenever it is read; one request
 * a file at a time; lists are asked for again ahead of their end; certificates count while they are inside
 * their windows, and the last list stays so that a verifier can say that it ended; nothing goes back to an older one; files are written whole and for their owner
 * alone. Refuses: addresses out of evidence, redirects, chips that hide their id, fetching of cloud keys (VLEK),
 * which AMD gives to clouds alone. Limits: 256 chips, lists of 4 MiB, chains of 64 KiB, one retry a minute after a
 * failure, then rarer up to one an hour.
 */
export { type AmdCollateral, type AmdCollateralOptions, AmdCollateralService } from './service.ts';
export { type AmdProduct, type AmdSubject, amdSubjects } from './subject.ts';
