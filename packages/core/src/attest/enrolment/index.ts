/**
 * @module How a machine gets certificates from the mesh's own authority: the two requests, and what they sign.
 *
 * Promises: one reading of each request; a proof covers the kind, whom it is for, the time and the certificate request, so
 * that none can be used for another. Refuses: fields that it does not know. Limits: requests of 16 KiB, names of 64 digits.
 */
export * from './request.ts';
