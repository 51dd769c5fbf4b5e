import type { FindingCode } from '@postern/core/attest';

/** By what a peer is known. It is recorded with every decision and told to backends. */
export type PeerKind = 'ra-tls' | 'kms' | 'svid';

/** A peer that was judged: its certificate's key is the one of this TLS connection. */
export interface PeerIdentity {
  readonly kind: PeerKind;
  /** 40 hex digits; undefined for a SPIFFE ID that names no app. */
  readonly appId: string | undefined;
  readonly instanceId: string | undefined;
  readonly deviceId: string | undefined;
  readonly composeHash: string | undefined;
  readonly spiffeId: string | undefined;
  readonly platform: string | undefined;
  readonly tcbStatus: string | undefined;
  readonly serialHex: string;
  /** SHA-256 of the leaf, hex. */
  readonly certificateHash: string;
  /** Epoch ms from which the peer has to be judged again. */
  readonly expiresAtMs: number;
  /** Its evidence was made for this very session, and not only for its key. */
  readonly sessionBound?: true;
}

/** What the mesh adds to the findings of attestation. */
export type MeshFindingCode =
  | 'certificate_missing'
  | 'certificate_lifetime_refused'
  | 'trust_not_configured'
  | 'chain_refused'
  | 'identity_refused'
  | 'app_revoked'
  | 'instance_revoked'
  | 'device_revoked'
  | 'serial_revoked'
  | 'session_unproven'
  | 'session_of_another';

export interface PeerFinding {
  readonly code: FindingCode | MeshFindingCode;
  /** Values at fault, never a secret. */
  readonly detail: string;
}

/** Every reason against a peer; at least one. */
export type PeerRefusal = readonly PeerFinding[];
