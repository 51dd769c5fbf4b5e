/**
 * @module The mesh's certificate authority: short-lived leaves, and a key that changes without an outage.
 *
 * Promises: a leaf says only what the caller's verified identity says (a request contributes its key and
 * nothing else); every leaf is read back and validated under the mesh profile before it leaves; leaves
 * live at most an hour; a new generation is trusted for the whole overlap before it signs, and the old
 * one until its last leaf is over.
 * Refuses: keys other than P-256 and P-384, requests without proof of possession, identities of another
 * trust domain. Limits: one self-signed authority per generation, no intermediates, no revocation lists
 * (expiry does that).
 */
export {
  type AuthorityOptions,
  type AuthorityStore,
  createCertificateAuthority,
  type StoredGeneration,
} from './authority.ts';
