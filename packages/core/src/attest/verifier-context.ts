import type { Result } from '../base/result.ts';
import type { CryptoPort } from './crypto-port.ts';
import type { Finding } from './finding.ts';
import type { IntelCollateral } from './intel/index.ts';
import type { TrustAnchors } from './vendor/index.ts';

/** Everything that verification needs besides the evidence. Nothing here comes from the peer. */
export interface VerifierContext {
  readonly crypto: CryptoPort;
  readonly anchors: TrustAnchors;
  /** Epoch ms at which evidence, certificates and collateral have to hold. */
  readonly nowMs: number;
  /** Opened collateral, why it could not be opened, or undefined where there is none. */
  readonly intelCollateral: Result<IntelCollateral, Finding> | undefined;
  /** AMD certificates from a cache, for reports that come without them. DER or PEM. */
  readonly amdCertificates: readonly Uint8Array[];
  /** DER of AMD's revocation list for the product, where one is at hand. */
  readonly amdRevocationList?: Uint8Array;
  /**
   * Inflates a gzip stream to at most `bytesMax` bytes; undefined where it is none or would be larger. For
   * certificate extensions that an old guest compressed; without it those are refused.
   */
  readonly gunzip?: (bytes: Uint8Array, bytesMax: number) => Uint8Array | undefined;
}
