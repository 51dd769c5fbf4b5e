import type { Socket } from 'node:net';
import type { PeerIdentity } from './peer-identity.ts';
import { type Revoked, revokedBy } from './revoked.ts';

/** One open connection with a judged peer. */
export interface OpenPeer {
  readonly edge: 'inbound' | 'outbound';
  readonly peer: PeerIdentity;
  readonly port: number;
  readonly sinceMs: number;
}

/** Every open connection of the mesh. What is revoked while it is open is cut at the next look. */
export class OpenPeers {
  readonly #open = new Map<Socket, OpenPeer>();
  #cut = 0;

  get size(): number {
    return this.#open.size;
  }

  counts(): Readonly<Record<OpenPeer['edge'], number>> {
    const counts = { inbound: 0, outbound: 0 };
    for (const { edge } of this.#open.values()) counts[edge] += 1;
    return counts;
  }

  /** Connections that were cut because of a revocation. */
  get cut(): number {
    return this.#cut;
  }

  add(socket: Socket, open: OpenPeer): void {
    this.#open.set(socket, open);
    socket.once('close', () => this.#open.delete(socket));
  }

  peerOf(socket: Socket): PeerIdentity | undefined {
    return this.#open.get(socket)?.peer;
  }

  list(): readonly OpenPeer[] {
    return [...this.#open.values()];
  }

  /** Cuts the connections of everybody who is revoked now. */
  sweep(revoked: Revoked): void {
    for (const [socket, { peer }] of this.#open) {
      if (revokedBy(revoked, peer).length === 0) continue;
      this.#cut += 1;
      socket.destroy();
    }
  }

  close(edge: OpenPeer['edge']): void {
    for (const [socket, open] of this.#open) if (open.edge === edge) socket.destroy();
  }
}
