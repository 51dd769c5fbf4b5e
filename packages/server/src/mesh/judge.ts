import type { Result } from '@postern/core/base';
import type { KnownPeers } from './known-peers.ts';
import type { MeshLimits } from './limits.ts';
import type { MeshTrust, PeerTools } from './peer.ts';
import type { FindFacts } from './ports.ts';

/** Makes evidence of this machine over 64 bytes. */
export type Prove = (
  reportData: Uint8Array,
  signal: AbortSignal,
) => Promise<Result<Uint8Array, string>>;

/** The stronger mode: evidence for each session, besides the one in the certificate. */
export interface SessionProof {
  /** `required`: with nobody else. `offered`: with everybody who can, and by the certificate alone with others. */
  readonly mode: 'offered' | 'required';
  readonly prove: Prove;
}

/** What peers are judged with, at every door. */
export interface Judge {
  readonly trust: () => MeshTrust;
  readonly tools: PeerTools;
  readonly findFacts: FindFacts;
  readonly nowMs: () => number;
  readonly limits: MeshLimits;
  /** Spares peers that connect again the whole judgement; their target and revocations are looked at each time. */
  readonly known?: KnownPeers;
  /** Absent: peers are believed by their certificates alone. */
  readonly session?: SessionProof;
}
