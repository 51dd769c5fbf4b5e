import type { MeshTrust } from './peer.ts';
import type { PeerIdentity } from './peer-identity.ts';

/** Peers of a large mesh, some hundred bytes each; the oldest is judged again. */
const knownMax = 10_000;

/**
 * Who was judged good, by the hash of the certificate: a peer that connects again shows the same one until its half-life.
 * Counts only under the trust by which it was judged, in the role that it had, and until the first of its proofs ends.
 */
export class KnownPeers {
  #trust: MeshTrust | undefined;
  readonly #known = new Map<string, PeerIdentity>();

  get(hash: string, trust: MeshTrust, nowMs: number): PeerIdentity | undefined {
    if (this.#trust !== trust) return undefined;
    const known = this.#known.get(hash);
    if (known === undefined) return undefined;
    if (nowMs < known.expiresAtMs) return known;
    this.#known.delete(hash);
    return undefined;
  }

  put(hash: string, trust: MeshTrust, peer: PeerIdentity): void {
    if (this.#trust !== trust) {
      this.#known.clear();
      this.#trust = trust;
    }
    const [oldest] = this.#known.keys();
    if (this.#known.size >= knownMax && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(hash, peer);
  }
}
