/**
 * @module The attested mesh: programs call apps on other machines, and are called by them, over mutual TLS in which both
 * ends were judged.
 *
 * Promises: a peer is judged (evidence, a pinned KMS, or a SPIFFE ID, by one pure decision) in the handshake, before a byte
 * of a request is written to it or read from it; the app, and the instance where one is named, are the ones that were asked
 * for; our own keys live an hour and change without an outage; status, repeated fields, trailers and bodies pass unharmed,
 * a broken answer is cut; backends learn who calls from us alone, in a signed assertion; nothing is allowed that no grant
 * of `postern.dev/cap/mesh` allows; what is revoked is refused at once and cut within 15 s where it is open.
 * Refuses: session resumption, TLS below 1.3, unrouted requests, identity fields of callers, encoded slashes, bodies beyond
 * the limit (413). Limits: `limits.ts`.
 */
export * from './assertion.ts';
export * from './attested-joining.ts';
export * from './auth.ts';
export type * from './call-problem.ts';
export * from './client.ts';
export * from './counters.ts';
export * from './handshake.ts';
export type * from './judge.ts';
export * from './inbound.ts';
export * from './issuing.ts';
export * from './limits.ts';
export * from './open-peers.ts';
export * from './outbound.ts';
export * from './own-identity.ts';
export * from './peer.ts';
export type * from './peer-identity.ts';
export type * from './ports.ts';
export * from './record-facts.ts';
export * from './revoked.ts';
export * from './session-proof.ts';
export type { MeshSpan, MeshSpanStart, BeginMeshSpan } from './spans.ts';
export * from './target.ts';
export * from './plane.ts';
export * from './dstack-mesh-toml.ts';
export * from './nginx.ts';
