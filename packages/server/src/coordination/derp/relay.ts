import type { Duplex } from 'node:stream';
import { toHex } from '@postern/core/base';
import { formatNodeKey } from './node-key.ts';
import type { KeyPair } from '../noise/index.ts';
import { type ConnectionEvents, DerpConnection, type DropReason, isDisco } from './connection.ts';
import { peerGoneReason } from './frame.ts';
import { formatServerKey, ProofReader, readProof } from './handshake.ts';
import { type DerpLimits, derpLimitsWith } from './limits.ts';
import { PeerSet } from './peer-set.ts';

export interface DerpRelayOptions {
  /** The relay's own key, which clients box their proof for. */
  readonly keyPair: KeyPair;
  /** Whether the owner of a node key (`nodekey:<hex>`) may relay here: asked once for each connection. */
  readonly mayUse: (nodeKey: string) => boolean | Promise<boolean>;
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly limits?: Partial<DerpLimits>;
  /** Told of every connection that ends in its handshake or later, with the reason. */
  readonly onEnd?: (end: { readonly nodeKey: string | undefined; readonly why: string }) => void;
}

/** Where a connection comes from, as far as the relay needs it. */
export interface DerpSource {
  /** Bytes that were read from the socket behind the request. */
  readonly head: Uint8Array;
  /** The address of the peer, for the bounds of unproven connections. */
  readonly address: string;
}

export interface DerpStats {
  readonly connections: number;
  readonly keys: number;
  readonly homes: number;
  readonly handshakes: number;
  readonly accepted: number;
  readonly refused: number;
  readonly packets: number;
  readonly bytes: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
}

const duplicateProblem =
  'another connection uses the same node key at the same time: was this machine cloned?';
/** What a client is told when the relay goes: come back soon, each at a time of its own, and keep trying. */
const restart = { reconnectMsMin: 250, spreadMs: 2_000, tryForMs: 60_000 };

/** A DERP relay: carries packets between the clients that are connected to it, by node key. */
export class DerpRelay {
  readonly publicKey: string;
  readonly #options: DerpRelayOptions;
  readonly #limits: DerpLimits;
  readonly #peers = new Map<string, PeerSet>();
  /** Who was given packets of a key, and is told when it goes. */
  readonly #receivers = new Map<string, Set<DerpConnection>>();
  readonly #handshakes = new Map<string, number>();
  readonly #sockets = new Set<Duplex>();
  readonly #events: ConnectionEvents;
  #pending = 0;
  #connections = 0;
  #homes = 0;
  #isClosed = false;
  #counts = { accepted: 0, refused: 0, packets: 0, bytes: 0 };
  readonly #dropped: Record<DropReason, number> = {
    'unknown destination': 0,
    'destination gone': 0,
    'queue full': 0,
  };

  constructor(options: DerpRelayOptions) {
    this.#options = options;
    this.#limits = derpLimitsWith(options.limits);
    this.publicKey = toHex(options.keyPair.publicKey);
    this.#events = {
      active: (from) => this.#peers.get(from.key)?.noteActive(from, duplicateProblem),
      packet: (from, to, packet) => this.#relay(from, to, packet),
      preferred: (from, isHome) => this.#notePreferred(from, isHome),
      dropped: (packets, why) => {
        this.#dropped[why] += packets;
      },
      closed: (from, why) => this.#remove(from, why),
    };
  }

  get stats(): DerpStats {
    const { accepted, refused, packets, bytes } = this.#counts;
    return {
      connections: this.#connections,
      keys: this.#peers.size,
      homes: this.#homes,
      handshakes: this.#pending,
      accepted,
      refused,
      packets,
      bytes,
      dropped: { ...this.#dropped },
    };
  }

  /**
   * Serves a socket on which DERP begins now; the 101 (if any) was written. Resolves when the client is admitted or
   * refused; the connection itself lives on until either side ends it.
   */
  async accept(socket: Duplex, { head, address }: DerpSource): Promise<void> {
    const waiting = this.#handshakes.get(address) ?? 0;
    const { handshakesMax, handshakesPerSourceMax, clientsMax } = this.#limits;
    const isFull = this.#pending >= handshakesMax || waiting >= handshakesPerSourceMax;
    if (this.#isClosed || isFull || this.#connections >= clientsMax) {
      return this.#refuse(socket, undefined, 'too many connections');
    }
    this.#pending += 1;
    this.#handshakes.set(address, waiting + 1);
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    try {
      await this.#admit(socket, head);
    } finally {
      this.#pending -= 1;
      const left = (this.#handshakes.get(address) ?? 1) - 1;
      if (left === 0) this.#handshakes.delete(address);
      else this.#handshakes.set(address, left);
    }
  }

  async #admit(socket: Duplex, head: Uint8Array): Promise<void> {
    const { keyPair, mayUse, randomBytes, nowMs } = this.#options;
    socket.write(formatServerKey(keyPair.publicKey));
    const { clientInfoBytesMax, handshakeMs, keepAliveJitterMs } = this.#limits;
    const reader = new ProofReader({ server: keyPair, clientInfoBytesMax, randomBytes });
    const proof = await readProof(socket, reader, { head, withinMs: handshakeMs });
    if (!proof.ok) return this.#refuse(socket, undefined, proof.error);
    const { key, rest, serverInfo } = proof.value;
    const nodeKey = formatNodeKey(key);
    // A socket without an error listener would take the process down while we ask.
    const ignore = (): void => undefined;
    socket.on('error', ignore);
    const isAllowed = await mayUse(nodeKey);
    socket.off('error', ignore);
    if (!isAllowed) return this.#refuse(socket, nodeKey, 'node key may not use this relay');
    if (this.#isClosed || socket.destroyed) return this.#refuse(socket, nodeKey, 'client left');
    socket.write(serverInfo);
    const jitterMs = ((randomBytes(1)[0] ?? 0) * keepAliveJitterMs) / 256;
    const shared = { limits: this.#limits, events: this.#events, nowMs, jitterMs };
    const connection = new DerpConnection({ socket, key, ...shared });
    this.#add(connection);
    connection.start(rest);
  }

  #refuse(socket: Duplex, nodeKey: string | undefined, why: string): void {
    this.#counts.refused += 1;
    socket.on('error', () => undefined);
    socket.destroy();
    this.#options.onEnd?.({ nodeKey, why });
  }

  #add(connection: DerpConnection): void {
    this.#counts.accepted += 1;
    this.#connections += 1;
    const peers = this.#peers.get(connection.key) ?? new PeerSet();
    this.#peers.set(connection.key, peers);
    peers.add(connection);
    if (peers.size > this.#limits.connectionsPerKeyMax)
      peers.oldest?.close('replaced by newer ones');
  }

  #remove(connection: DerpConnection, why: string): void {
    this.#connections -= 1;
    if (connection.isHome) this.#homes -= 1;
    for (const source of connection.sources) {
      const receivers = this.#receivers.get(source);
      receivers?.delete(connection);
      if (receivers?.size === 0) this.#receivers.delete(source);
    }
    const peers = this.#peers.get(connection.key);
    peers?.remove(connection);
    if (peers?.size === 0) {
      this.#peers.delete(connection.key);
      this.#tellGone(connection.key);
    }
    this.#options.onEnd?.({ nodeKey: `nodekey:${connection.key}`, why });
  }

  #tellGone(key: string): void {
    const receivers = this.#receivers.get(key);
    this.#receivers.delete(key);
    const raw = new Uint8Array(Buffer.from(key, 'hex'));
    for (const receiver of receivers ?? []) {
      receiver.sources.delete(key);
      receiver.tellPeerGone(raw, peerGoneReason.disconnected);
    }
  }

  #notePreferred(connection: DerpConnection, isHome: boolean): void {
    if (connection.isHome === isHome) return;
    connection.isHome = isHome;
    this.#homes += isHome ? 1 : -1;
  }

  #relay(from: DerpConnection, to: string, packet: Uint8Array): void {
    const target = this.#peers.get(to)?.active;
    if (target === undefined) {
      this.#dropped['unknown destination'] += 1;
      if (!isDisco(packet)) return;
      const raw = new Uint8Array(Buffer.from(to, 'hex'));
      return from.tellNotHere(raw, peerGoneReason.notHere);
    }
    this.#counts.packets += 1;
    this.#counts.bytes += packet.length;
    if (!target.sources.has(from.key)) {
      const receivers = this.#receivers.get(from.key) ?? new Set();
      this.#receivers.set(from.key, receivers);
      receivers.add(target);
    }
    target.deliver(from, packet);
  }

  /** Cuts the connections of a node that was removed, expired or changed its key. */
  disconnect(nodeKey: string): void {
    const key = nodeKey.startsWith('nodekey:') ? nodeKey.slice('nodekey:'.length) : nodeKey;
    for (const connection of this.#peers.get(key)?.all ?? [])
      connection.close('no longer admitted');
  }

  /** Asks again for every key that is connected, and cuts those that may not use the relay any more. */
  async recheck(): Promise<void> {
    for (const key of this.#peers.keys()) {
      const nodeKey = `nodekey:${key}`;
      if (!(await this.#options.mayUse(nodeKey))) this.disconnect(nodeKey);
    }
  }

  /** Whether a node is connected here. */
  has(nodeKey: string): boolean {
    return this.#peers.has(nodeKey.replace('nodekey:', ''));
  }

  /** Tells every client to come back, and ends all connections. */
  close(): void {
    this.#isClosed = true;
    for (const peers of this.#peers.values()) {
      for (const connection of peers.all) {
        const [random = 0] = this.#options.randomBytes(1);
        const reconnectInMs =
          restart.reconnectMsMin + Math.floor((random * restart.spreadMs) / 256);
        connection.tellRestarting(reconnectInMs, restart.tryForMs);
        connection.close('relay closes');
      }
    }
    for (const socket of this.#sockets) if (!socket.writableEnded) socket.destroy();
  }
}
