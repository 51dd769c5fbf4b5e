import { assert } from '@postern/core/base';

/** Every limit of a listener, with its unit. Tests pass smaller ones; the application uses the defaults. */
export interface HttpLimits {
  readonly targetBytesMax: number;
  readonly headBytesMax: number;
  readonly headersMax: number;
  readonly handshakeMs: number;
  readonly firstByteMs: number;
  readonly headMs: number;
  readonly keepAliveMs: number;
  readonly bodyPauseMsMax: number;
  readonly bodyMsMax: number;
  readonly checkMs: number;
  readonly connectionsMax: number;
  readonly connectionsPerSourceMax: number;
  readonly requestsPerConnectionMax: number;
  readonly pipelinedMax: number;
  readonly stalledReaderMs: number;
  readonly writeBufferBytesMax: number;
  readonly lingerMs: number;
  readonly probeMs: number;
}

export const httpLimits: HttpLimits = Object.freeze({
  /** RFC 9112 section 3 asks for at least 8,000; no route of ours needs more. */
  targetBytesMax: 8_192,
  /** The target, and headers with room for a bearer token of several KiB. */
  headBytesMax: 32_768,
  /** Client libraries with tracing send about 30. */
  headersMax: 128,
  /** A TLS handshake takes two round trips; ten seconds cover a bad mobile link. */
  handshakeMs: 10_000,
  /** A client that connects and says nothing holds a descriptor for nothing. */
  firstByteMs: 10_000,
  /** From the first byte to the end of the head. */
  headMs: 15_000,
  /** Longer than the 60 s for which usual load balancers keep their connections, so that they close first. */
  keepAliveMs: 65_000,
  /** Between two pieces of a request body. */
  bodyPauseMsMax: 15_000,
  /** A whole request body; a large prompt over a slow uplink. */
  bodyMsMax: 300_000,
  /** How often node:http looks at its own timers. */
  checkMs: 2_000,
  /** Per listener. About 30 KiB each when idle, so 300 MiB at worst. */
  connectionsMax: 10_000,
  /** Per IPv4 address or IPv6 /64; loopback, unix sockets and trusted proxies are exempt (one source, many clients). */
  connectionsPerSourceMax: 512,
  /** Spreads long-lived clients over instances now and then, and bounds what one connection can accumulate. */
  requestsPerConnectionMax: 10_000,
  /** Requests that wait behind the one being answered on the same connection. */
  pipelinedMax: 16,
  /** A reader that takes nothing for this long is gone. */
  stalledReaderMs: 30_000,
  /** Bytes that wait for one slow reader before the connection is cut. */
  writeBufferBytesMax: 1_048_576,
  /** After a refusal the rest of the request is read and dropped for this long, so that the answer is not lost to a reset. */
  lingerMs: 1_000,
  /** Silence after which TCP asks whether the peer still lives: a laptop that was closed sends no FIN. */
  probeMs: 30_000,
});

/** The defaults with some replaced; inconsistent limits are a bug of the caller. */
export function limitsWith(changed: Partial<HttpLimits>): HttpLimits {
  const limits = { ...httpLimits, ...changed };
  assertLimits(limits);
  return limits;
}

function assertLimits(limits: HttpLimits): void {
  for (const [name, value] of Object.entries(limits)) {
    assert(Number.isSafeInteger(value) && value > 0, `limit ${name} is a positive integer`);
  }
  assert(limits.targetBytesMax < limits.headBytesMax, 'a target fits into a head');
  assert(limits.bodyPauseMsMax <= limits.bodyMsMax, 'a pause is part of a body');
  assert(limits.connectionsPerSourceMax <= limits.connectionsMax, 'a source is part of all');
  assert(limits.firstByteMs <= limits.headMs, 'a head starts before it ends');
}

assertLimits(httpLimits);
