import { assert } from '@postern/core/base';

/** Every limit of the relay, with its unit. */
export interface DerpLimits {
  readonly clientsMax: number;
  readonly handshakesMax: number;
  readonly handshakesPerSourceMax: number;
  readonly handshakeMs: number;
  readonly connectionsPerKeyMax: number;
  readonly clientInfoBytesMax: number;
  readonly queuePacketsMax: number;
  readonly queueBytesMax: number;
  readonly writeBufferBytesMax: number;
  readonly writeStallMs: number;
  readonly keepAliveMs: number;
  readonly keepAliveJitterMs: number;
  readonly receiveBytesPerSecond: number;
  readonly receiveBurstBytes: number;
  readonly peerGoneBurst: number;
  readonly peerGoneMs: number;
}

/** The largest packet that the protocol carries (derp.MaxPacketSize). */
export const packetBytesMax: number = 64 * 1024;
/** A packet and its destination. */
export const sendFrameBytesMax: number = packetBytesMax + 32;

export const derpLimits: DerpLimits = Object.freeze({
  /** One process relays for a team; each idle client costs about 40 KiB with TLS. */
  clientsMax: 10_000,
  /** Connections that have not proven a key yet, in all and from one address. */
  handshakesMax: 512,
  handshakesPerSourceMax: 64,
  /** As the reference relay: from the server's key to a valid client info. */
  handshakeMs: 10_000,
  /** A node that moves between networks leaves a dead connection or two behind. */
  connectionsPerKeyMax: 8,
  /** The reference relay takes 256 KiB; what clients send is under 200 bytes. */
  clientInfoBytesMax: 8_192,
  /** Packets that wait for a slow reader, for disco and for the rest each: older ones are dropped first. */
  queuePacketsMax: 128,
  queueBytesMax: 512 * 1024,
  /** Handed to the socket before packets queue with us, where they can still be dropped. */
  writeBufferBytesMax: 128 * 1024,
  /** A reader that does not take a full buffer in this time is gone: less than 10 kB a second carries no tunnel. */
  writeStallMs: 15_000,
  /** Clients take two minutes without a frame for a dead relay (derp.KeepAlive). */
  keepAliveMs: 60_000,
  keepAliveJitterMs: 5_000,
  /** 200 Mbit/s from one client: enough for a fast machine, not enough to occupy the loop alone. */
  receiveBytesPerSecond: 25_000_000,
  receiveBurstBytes: 4_000_000,
  /** How often a client is told that a peer is not here, when it looks for one. */
  peerGoneBurst: 3,
  peerGoneMs: 1_000,
});

/** The defaults with some replaced; inconsistent limits are a bug of the caller. */
export function derpLimitsWith(changed: Partial<DerpLimits> = {}): DerpLimits {
  const limits = { ...derpLimits, ...changed };
  for (const [name, value] of Object.entries(limits)) {
    assert(Number.isSafeInteger(value) && value > 0, `limit ${name} is a positive integer`);
  }
  assert(limits.receiveBurstBytes >= sendFrameBytesMax, 'a burst holds the largest packet');
  // node:stream tells of a drain only where its own mark (64 KiB at most) was passed.
  assert(limits.writeBufferBytesMax >= 65_536, 'a full buffer is one that drains');
  assert(limits.queueBytesMax >= sendFrameBytesMax, 'a queue holds the largest packet');
  return limits;
}
