/**
 * What appraisal needs from a cryptographic library. Core computes no hash and checks no signature by
 * itself: the caller passes an implementation (on Node, the `crypto-node` adapter).
 */
export interface CryptoPort {
  sha256(bytes: Uint8Array): Uint8Array;
  sha384(bytes: Uint8Array): Uint8Array;
  sha512(bytes: Uint8Array): Uint8Array;
  /** The pre-standard padding that Ethereum uses, not SHA3-256. */
  keccak256(bytes: Uint8Array): Uint8Array;
  /** False for a wrong signature, a malformed signature and a malformed key alike. Never throws. */
  verifyEcdsa(check: EcdsaCheck): boolean;
  /** RSASSA-PSS with MGF1 of the same hash and a salt as long as the hash. Never throws. */
  verifyRsaPss(check: RsaPssCheck): boolean;
}

export interface EcdsaCheck {
  readonly curve: 'P-256' | 'P-384';
  readonly hash: 'sha256' | 'sha384';
  /** DER SubjectPublicKeyInfo. A key on another curve is refused. */
  readonly spki: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  /** `der`: ECDSA-Sig-Value in strict DER. `p1363`: r then s, each exactly as wide as the curve. */
  readonly encoding: 'der' | 'p1363';
}

export interface RsaPssCheck {
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  /** DER SubjectPublicKeyInfo with rsaEncryption or id-RSASSA-PSS, 2048 to 8192 bits. */
  readonly spki: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}
