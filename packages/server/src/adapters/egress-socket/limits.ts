import { assert } from '@postern/core/base';

/** Limits of the way out, with units. Times of one call come with the call. */
export interface SocketEgressLimits {
  readonly connectionsPerOriginMax: number;
  readonly idlePerOriginMax: number;
  readonly originsMax: number;
  readonly keepAliveMs: number;
  readonly keepAliveMsMax: number;
  readonly headBytesMax: number;
  readonly headersMax: number;
  readonly interimMax: number;
  readonly bufferedBytesMax: number;
  readonly addressesMax: number;
  readonly trailerBytesMax: number;
  readonly sweepMs: number;
}

export const socketEgressLimits: SocketEgressLimits = Object.freeze({
  /** Streams hold a connection each; a gateway with thousands of streams to one server is a big one. */
  connectionsPerOriginMax: 8_192,
  /** Kept for reuse after a burst. */
  idlePerOriginMax: 128,
  /** Providers come from a configuration or a registry; each may be several origins. */
  originsMax: 1_024,
  /** Model servers on uvicorn close idle connections after 5 s: be first, unless the server says otherwise. */
  keepAliveMs: 4_000,
  /** However long a server promises to keep a connection. */
  keepAliveMsMax: 60_000,
  headBytesMax: 32_768,
  /** Large providers send about 40. */
  headersMax: 256,
  /** Interim answers (1xx) before the real one. */
  interimMax: 8,
  /** Bytes that wait for our own reader before the upstream is made to wait. */
  bufferedBytesMax: 65_536,
  /** Addresses of one name that are judged; a longer answer is refused. */
  addressesMax: 64,
  /** Chunk extensions and trailers: nobody reads them, so they may be small. */
  trailerBytesMax: 8_192,
  /** How often the times of all calls are looked at: one timer for all of them. */
  sweepMs: 25,
});

export function socketEgressLimitsWith(changed: Partial<SocketEgressLimits>): SocketEgressLimits {
  const limits = { ...socketEgressLimits, ...changed };
  for (const [name, value] of Object.entries(limits)) {
    assert(Number.isSafeInteger(value) && value > 0, `limit ${name} is a positive integer`);
  }
  assert(limits.idlePerOriginMax <= limits.connectionsPerOriginMax, 'idle is part of open');
  assert(limits.keepAliveMs <= limits.keepAliveMsMax, 'the usual time is within the longest');
  return limits;
}

socketEgressLimitsWith({});
