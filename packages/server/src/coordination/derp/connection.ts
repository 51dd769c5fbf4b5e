import type { Duplex } from 'node:stream';
import {
  type Frame,
  formatFrame,
  formatFrameHeader,
  FrameReader,
  frameType,
  keyBytes,
  type PeerGoneReason,
} from './frame.ts';
import { type DerpLimits, sendFrameBytesMax } from './limits.ts';
import { PacketQueue } from './queue.ts';
import { TokenBucket } from './token-bucket.ts';

/** What a connection tells its relay. */
export interface ConnectionEvents {
  /** Any frame of the client, before it is handled. */
  active(from: DerpConnection): void;
  packet(from: DerpConnection, destination: string, packet: Uint8Array): void;
  preferred(from: DerpConnection, isHome: boolean): void;
  dropped(packets: number, why: DropReason): void;
  /** Exactly once, whatever ended it. */
  closed(from: DerpConnection, why: string): void;
}

export type DropReason = 'unknown destination' | 'destination gone' | 'queue full';

/** The largest ping that is answered; room for future fields, as in the reference relay. */
const pingBytesMax = 1_000;
const pingBytes = 8;
/** A frame type of the future is read past, whatever its length says. */
const bytesMaxOf = new Map<number, number>([
  [frameType.sendPacket, sendFrameBytesMax],
  [frameType.notePreferred, 1],
  [frameType.ping, pingBytesMax],
  [frameType.watchConns, 0],
  [frameType.closePeer, keyBytes],
  [frameType.forwardPacket, 0],
]);

/** "TS" and a speech balloon: how an encrypted disco message begins (tailscale disco/disco.go). */
const discoMagic = Uint8Array.of(0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac);
const discoBytesMin = discoMagic.length + 32 + 24;

/** Whether a packet looks like disco, by which peers find each other: it is queued apart from data. */
export function isDisco(packet: Uint8Array): boolean {
  return packet.length >= discoBytesMin && discoMagic.every((byte, i) => packet[i] === byte);
}

/** Node's own encoder: this runs for every packet. */
function hexOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('hex');
}

export interface ConnectionOptions {
  readonly socket: Duplex;
  readonly key: Uint8Array;
  readonly limits: DerpLimits;
  readonly events: ConnectionEvents;
  readonly nowMs: () => number;
  readonly jitterMs: number;
}

/**
 * One client after its handshake. Reads no faster than its rate, writes no more than the socket takes and keeps a
 * bounded, freshest-first rest; a reader that has stalled is cut.
 */
export class DerpConnection {
  readonly key: string;
  /** Keys whose packets this client was given: it is told when they go. */
  readonly sources: Set<string> = new Set();
  isHome = false;
  readonly #socket: Duplex;
  readonly #rawKey: Uint8Array;
  readonly #events: ConnectionEvents;
  readonly #limits: DerpLimits;
  readonly #nowMs: () => number;
  readonly #reader = new FrameReader((type) => bytesMaxOf.get(type) ?? 'skip');
  readonly #packets: PacketQueue;
  readonly #disco: PacketQueue;
  readonly #rate: TokenBucket;
  readonly #peerGone: TokenBucket;
  readonly #keepAlive: NodeJS.Timeout;
  #pong: Uint8Array | undefined;
  #stall: NodeJS.Timeout | undefined;
  #pause: NodeJS.Timeout | undefined;
  #isCorked = false;
  /** The socket holds all it should; until it has drained, packets queue. */
  #isBlocked = false;
  #isClosed = false;

  constructor({ socket, key, limits, events, nowMs, jitterMs }: ConnectionOptions) {
    this.key = hexOf(key);
    this.#rawKey = key;
    this.#socket = socket;
    this.#events = events;
    this.#limits = limits;
    this.#nowMs = nowMs;
    const bounds = { packetsMax: limits.queuePacketsMax, bytesMax: limits.queueBytesMax };
    this.#packets = new PacketQueue(bounds);
    this.#disco = new PacketQueue(bounds);
    const perSecond = limits.receiveBytesPerSecond;
    this.#rate = new TokenBucket({ perSecond, burst: limits.receiveBurstBytes, nowMs: nowMs() });
    const goneRate = { perSecond: 1000 / limits.peerGoneMs, burst: limits.peerGoneBurst };
    this.#peerGone = new TokenBucket({ ...goneRate, nowMs: nowMs() });
    this.#keepAlive = setInterval(() => this.#sendKeepAlive(), limits.keepAliveMs + jitterMs);
    this.#keepAlive.unref();
    socket.on('data', (chunk: Uint8Array) => this.#receive(chunk));
    socket.on('drain', () => this.#drain());
    socket.on('error', (cause) => this.close(cause.message));
    socket.on('end', () => this.close('client left'));
    socket.on('close', () => this.close('connection closed'));
  }

  /** Handles bytes that came with the handshake, then everything that follows. */
  start(rest: Uint8Array): void {
    if (rest.length > 0) this.#receive(rest);
    if (!this.#isClosed && this.#pause === undefined) this.#socket.resume();
  }

  /** Bytes held for this client, for the tests of bounded memory. */
  get heldBytes(): number {
    return this.#reader.bufferedBytes + this.#packets.bytes + this.#disco.bytes;
  }

  /** A packet of a peer. */
  deliver(source: DerpConnection, packet: Uint8Array): void {
    this.sources.add(source.key);
    const head = formatFrameHeader(frameType.recvPacket, keyBytes + packet.length);
    const frame = [head, source.#rawKey, packet];
    if (this.#mayWrite()) this.#write(frame);
    else {
      const queue = isDisco(packet) ? this.#disco : this.#packets;
      const dropped = queue.put(frame.map((part) => part.slice()));
      if (dropped > 0) this.#events.dropped(dropped, 'queue full');
    }
  }

  tellPeerGone(peer: Uint8Array, reason: PeerGoneReason): void {
    this.#sendControl(formatFrame(frameType.peerGone, peer, Uint8Array.of(reason)));
  }

  /** Tells the client that a peer it looks for is not here, unless it was told so often just now. */
  tellNotHere(peer: Uint8Array, reason: PeerGoneReason): void {
    if (this.#peerGone.allow(this.#nowMs())) this.tellPeerGone(peer, reason);
  }

  /** What is wrong with the connection, as `tailscale status` shows it; empty when it is well again. */
  tellHealth(problem: string): void {
    this.#sendControl(formatFrame(frameType.health, new TextEncoder().encode(problem)));
  }

  tellRestarting(reconnectInMs: number, tryForMs: number): void {
    const payload = new Uint8Array(8);
    const view = new DataView(payload.buffer);
    view.setUint32(0, reconnectInMs);
    view.setUint32(4, tryForMs);
    this.#sendControl(formatFrame(frameType.restarting, payload));
  }

  close(why: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#keepAlive);
    clearTimeout(this.#stall);
    clearTimeout(this.#pause);
    const waiting = this.#packets.clear() + this.#disco.clear();
    if (waiting > 0) this.#events.dropped(waiting, 'destination gone');
    // What was written last, a farewell, still goes out; a peer that does not take it must not hold the socket.
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), 1_000).unref();
    this.#events.closed(this, why);
  }

  #receive(chunk: Uint8Array): void {
    if (this.#isClosed) return;
    this.#reader.push(chunk);
    for (;;) {
      const next = this.#reader.next();
      if (!next.ok) return this.close(`frame ${next.error.type} of ${next.error.length} bytes`);
      if (next.value === undefined) break;
      this.#events.active(this);
      const problem = this.#handle(next.value);
      if (problem !== undefined) return this.close(problem);
    }
    const waitMs = this.#rate.spend(chunk.length, this.#nowMs());
    if (waitMs > 0) this.#pauseFor(waitMs);
  }

  #pauseFor(waitMs: number): void {
    // TCP flow control carries the wait to the sender: nothing is dropped and nothing piles up here.
    this.#socket.pause();
    this.#pause ??= setTimeout(() => {
      this.#pause = undefined;
      this.#socket.resume();
    }, waitMs);
  }

  #handle({ type, payload }: Frame): string | undefined {
    switch (type) {
      case frameType.sendPacket: {
        if (payload.length < keyBytes) return 'short packet frame';
        const destination = hexOf(payload.subarray(0, keyBytes));
        this.#events.packet(this, destination, payload.subarray(keyBytes));
        return undefined;
      }
      case frameType.ping:
        if (payload.length < pingBytes) return 'short ping';
        return this.#answerPing(payload.slice(0, pingBytes));
      case frameType.notePreferred:
        if (payload.length !== 1) return 'note of another size';
        this.#events.preferred(this, payload[0] !== 0);
        return undefined;
      default:
        return `frame ${type} is for relays of one region`;
    }
  }

  /** One answer waits at most: who pings faster than it reads gets fewer answers. */
  #answerPing(ping: Uint8Array): undefined {
    if (this.#mayWrite()) this.#write([formatFrame(frameType.pong, ping)]);
    else this.#pong = ping;
  }

  #sendKeepAlive(): void {
    if (this.#mayWrite()) this.#write([formatFrame(frameType.keepAlive)]);
  }

  /** Small frames of ours pass the queues; a client that does not even take those is cut by the stall timer. */
  #sendControl(frame: Uint8Array): void {
    if (!this.#isClosed && this.#socket.writableLength < 2 * this.#limits.writeBufferBytesMax) {
      this.#write([frame]);
    }
  }

  #mayWrite(): boolean {
    return !this.#isClosed && !this.#isBlocked;
  }

  #write(parts: readonly Uint8Array[]): void {
    if (!this.#isCorked) {
      // Frames of one turn of the loop share system calls and TLS records.
      this.#isCorked = true;
      this.#socket.cork();
      setImmediate(() => this.#uncork());
    }
    for (const part of parts) this.#socket.write(part);
    if (this.#isBlocked || this.#socket.writableLength < this.#limits.writeBufferBytesMax) return;
    this.#isBlocked = true;
    this.#stall = setTimeout(() => this.close('reads too slowly'), this.#limits.writeStallMs);
  }

  #uncork(): void {
    this.#isCorked = false;
    this.#socket.uncork();
  }

  #drain(): void {
    clearTimeout(this.#stall);
    this.#isBlocked = false;
    if (this.#pong !== undefined && this.#mayWrite()) {
      this.#write([formatFrame(frameType.pong, this.#pong)]);
      this.#pong = undefined;
    }
    while (this.#mayWrite()) {
      const frame = this.#disco.take() ?? this.#packets.take();
      if (frame === undefined) return;
      this.#write(frame);
    }
  }
}
