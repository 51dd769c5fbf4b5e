import { assert } from '@postern/core/base';

/** Every limit of the mesh's listeners and calls, with its unit. */
export interface MeshLimits {
  readonly connectionsMax: number;
  readonly handshakeMs: number;
  readonly dialMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  readonly keepAliveMs: number;
  readonly idlePerTargetMax: number;
  readonly connectionsPerTargetMax: number;
  readonly requestsPerConnectionMax: number;
  readonly bodyBytesMax: number;
  readonly headBytesMax: number;
  readonly headersMax: number;
  readonly targetBytesMax: number;
  readonly chainCertificatesMax: number;
  readonly candidatesMax: number;
  readonly sweepMs: number;
  readonly drainMs: number;
  readonly streamsPerConnectionMax: number;
}

export const meshLimits: MeshLimits = Object.freeze({
  /** Per listener; about 60 KiB each with TLS. */
  connectionsMax: 10_000,
  /** TLS handshake and judgement together, collateral included. */
  handshakeMs: 10_000,
  /** One candidate: name, TCP, TLS, judgement. */
  dialMs: 10_000,
  /** A model may read a long prompt for minutes before its first byte. */
  firstByteMs: 600_000,
  /** Between two pieces of an answer; streams send comments more often. */
  idleMs: 300_000,
  /** Idle connections to peers. Below the 60 s of usual balancers, so that we close first. */
  keepAliveMs: 50_000,
  idlePerTargetMax: 64,
  connectionsPerTargetMax: 1_024,
  /** Spreads long-lived callers over instances, and bounds how old a judged connection gets. */
  requestsPerConnectionMax: 100_000,
  /** A request body: beyond it 413, never a cut body. */
  bodyBytesMax: 1_073_741_824,
  headBytesMax: 32_768,
  headersMax: 128,
  targetBytesMax: 8_192,
  /** Certificates of one handshake that are looked at. */
  chainCertificatesMax: 6,
  /** Addresses that are tried for one connection. */
  candidatesMax: 8,
  /** How often open connections are judged again: what is revoked is gone within this time. */
  sweepMs: 15_000,
  /** How long open answers may run on after a stop. */
  drainMs: 30_000,
  streamsPerConnectionMax: 256,
});

/** The defaults with some replaced; what is not a positive integer is a bug of the caller. */
export function meshLimitsWith(changed: Partial<MeshLimits>): MeshLimits {
  const limits = { ...meshLimits, ...changed };
  for (const [name, value] of Object.entries(limits)) {
    assert(Number.isSafeInteger(value) && value > 0, `limit ${name} is a positive integer`);
  }
  return limits;
}
