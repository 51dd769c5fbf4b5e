/** What one decoding may cost. Every field has a reason; callers raise one where their format needs it. */
export interface DerLimits {
  /** Input size in bytes. */
  readonly bytesMax: number;
  /** Nesting of constructed elements, the outermost being 1. */
  readonly depthMax: number;
  /** Elements whose header is read in one decoding. */
  readonly elementsMax: number;
}

export const derLimits: DerLimits = {
  // A certificate with a TEE quote inside is under 64 KiB; revocation lists pass a larger bound.
  bytesMax: 1 << 20,
  // RFC 5280 structures nest about 12 deep; attestation extensions a few more.
  depthMax: 32,
  // Two bytes make an element, so this bound is the one that holds for hostile input of a megabyte.
  elementsMax: 65_536,
};
