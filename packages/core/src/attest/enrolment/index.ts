/**
 * @module How a machine joins: certificates from the mesh's own authority by a token, and keys of the network for evidence.
 * What is asked, and what is signed.
 *
 * Promises: one reading of each request; a proof covers the kind, whom it is for, the time and the certificate request, so
 * that none can be used for another. Refuses: fields that it does not know. Limits: requests of 16 KiB, names of 64 digits.
 */
export * from './join.ts';
export * from './request.ts';
