/**
 * @module X.509 as RFC 5280 defines it: certificates, revocation lists, paths, and who a peer is by them.
 *
 * Promises: one strict reading of every certificate and list; a path is accepted only if each of its
 * certificates fits a named profile and every constraint on the way holds; searching, comparing and
 * verifying have budgets; signatures are checked by the port that is passed in.
 * Refuses: unknown critical extensions, required policies, delta and indirect lists, SHA-1, DSA, RSA
 * under 2,048 bits, explicit curve parameters, names taken from the common name.
 * Limits: `x509Limits`. Fetching anything (lists, issuers, OCSP) is not done here.
 */
export type {
  SignatureAlgorithm,
  SignatureHash,
  SignatureVerifier,
  UnsupportedAlgorithm,
} from './algorithm.ts';
export {
  bundleSequence,
  type CertificateAuthority,
  clockSkewMs,
  defaultRotationPlan,
  type Generation,
  type IssuedCertificate,
  type IssueInput,
  type IssueRefusal,
  isRotationDue,
  type LeafIdentity,
  leafLifetimeMsMax,
  type RotationPlan,
  retiresAt,
  signerAt,
  type TrustBundle,
  trustedAt,
} from './authority.ts';
export { type Certificate, isSameCertificate, parseCertificate } from './certificate.ts';
export { parseRevocationList, type RevocationList, type RevokedEntry } from './crl.ts';
export type { CurveName } from './curve.ts';
export type { Extension, KeyUsage, NameConstraints } from './extension.ts';
export type { GeneralName, NameSubtree } from './general-name.ts';
export { ipText, isDnsMatch, isDnsName } from './identifier.ts';
export { isKeyFor, type PublicKey, weaknessOf } from './key.ts';
export {
  claimedAppId,
  dstackExtension,
  type KmsIdentity,
  type KmsInput,
  specialUsage,
  verifyKmsIdentity,
} from './kms.ts';
export { type X509Limits, x509Limits } from './limits.ts';
export { commonNames, type DistinguishedName, isSameName } from './name.ts';
export { dstackOid, extensionOid, usageOid } from './oid.ts';
export { type CertificatePath, type PathInput, type PathQuery, verifyPath } from './path.ts';
export { hasPeerName, type PeerName } from './peer-name.ts';
export {
  type CertificateProfile,
  type PathRole,
  type ProfileContext,
  profiles,
  profileViolation,
  validityViolation,
} from './profile.ts';
export type { X509Code, X509Refusal } from './refusal.ts';
export {
  type CertificateRequest,
  parseCertificateRequest,
  provesPossession,
} from './request.ts';
export { type RevocationPolicy, revocationViolation } from './revocation.ts';
export {
  parseSpiffeBundle,
  parseSpiffeId,
  type SpiffeBundle,
  type SpiffeId,
  spiffeBundleDocument,
  type SvidInput,
  svidIdentity,
  verifySvid,
} from './spiffe.ts';
