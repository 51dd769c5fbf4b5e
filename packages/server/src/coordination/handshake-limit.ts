import { coordinationLimits } from './limits.ts';

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Handshakes by source address: the only work that anybody can make us do. An IPv6 source counts by its /64. */
export class HandshakeLimit {
  readonly #buckets = new Map<string, Bucket>();

  take(address: string | undefined, nowMs: number): boolean {
    const source = sourceOf(address ?? '');
    const { handshakeBurst, handshakesPerSecond, sourcesMax } = coordinationLimits;
    const bucket = this.#buckets.get(source) ?? { tokens: handshakeBurst, atMs: nowMs };
    const gained = (Math.max(0, nowMs - bucket.atMs) * handshakesPerSecond) / 1_000;
    const tokens = Math.min(handshakeBurst, bucket.tokens + gained);
    // To the end of the map, so that the first is the one that was quiet for the longest.
    this.#buckets.delete(source);
    const [first] = this.#buckets.keys();
    if (this.#buckets.size >= sourcesMax && first !== undefined) this.#buckets.delete(first);
    const isAllowed = tokens >= 1;
    this.#buckets.set(source, { tokens: isAllowed ? tokens - 1 : tokens, atMs: nowMs });
    return isAllowed;
  }
}

function sourceOf(address: string): string {
  if (!address.includes(':')) return address;
  if (address.startsWith('::ffff:')) return address.slice('::ffff:'.length);
  return address.split(':').slice(0, 4).join(':');
}
