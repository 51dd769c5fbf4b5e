/** Bounds of parsing and path building. */
export interface X509Limits {
  /** One certificate, in bytes: a TEE quote with its event log takes about 30 KiB. */
  readonly certificateBytesMax: number;
  /** One revocation list, in bytes: room for `crlEntriesMax` entries of 40 bytes. */
  readonly crlBytesMax: number;
  readonly crlEntriesMax: number;
  readonly extensionsMax: number;
  /** Entries of one subjectAltName; public CAs stop at 100 to 2,000. */
  readonly altNamesMax: number;
  /** Entries of one nameConstraints extension. */
  readonly subtreesMax: number;
  /** Attributes of one distinguished name. */
  readonly attributesMax: number;
  /** Largest RSA modulus in bits: past it one verification costs milliseconds. */
  readonly rsaBitsMax: number;
  /** Certificates a peer may send beside its own. */
  readonly intermediatesMax: number;
  /** Certificates in one path below the anchor, self-issued ones too. */
  readonly pathCertificatesMax: number;
  /** Intermediates in one path when the caller names no number. */
  readonly pathIntermediatesDefault: number;
  /** Signature verifications in one search. */
  readonly signatureChecksMax: number;
  /** Candidate issuers looked at in one search. */
  readonly candidatesMax: number;
  /** Complete paths validated in one search. */
  readonly pathsMax: number;
  /** Name-against-subtree comparisons in one path. */
  readonly nameComparisonsMax: number;
}

export const x509Limits: X509Limits = {
  certificateBytesMax: 65_536,
  crlBytesMax: 8 << 20,
  crlEntriesMax: 200_000,
  extensionsMax: 64,
  altNamesMax: 2_048,
  subtreesMax: 2_048,
  attributesMax: 64,
  rsaBitsMax: 8_192,
  intermediatesMax: 128,
  pathCertificatesMax: 32,
  pathIntermediatesDefault: 8,
  signatureChecksMax: 64,
  candidatesMax: 4_096,
  pathsMax: 32,
  nameComparisonsMax: 1 << 18,
};
