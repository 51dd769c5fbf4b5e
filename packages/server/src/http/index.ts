/**
 * @module HTTP for the planes: listeners with one kind of trust each, bounded requests, answers with back-pressure,
 * and the single way out (egress).
 *
 * Promises: a request that reaches a handler has one meaning, is within limits and carries no identity that its
 * sender wrote. Refuses: routing, identity, dialects, web-standard Request and Response.
 * Limits: all in `limits.ts`, replaceable for each listener.
 */
export { beginsWith } from './begins-with.ts';
export * from './call-signal.ts';
export { sayAtEndOfTurn, type Speaker } from './end-of-turn.ts';
export { equalSecrets } from './equal-secrets.ts';
export type * from './exchange.ts';
export * from './header-lines.ts';
export { isForwardingHeader, isIdentityHeader, normalHeaderName } from './identity-headers.ts';
export { type HttpLimits, httpLimits } from './limits.ts';
export type * from './listener.ts';
export { ByPeer, cutPeer, whenPeerLeaves } from './live-peers.ts';
export { openListener } from './open-listener.ts';
export { PassingReply } from './passing-reply.ts';
export { isLoopbackPortOpen, isPortOpen } from './port-open.ts';
export { Roll, type Rolled } from './roll.ts';
export { digitsOf, inOnePiece, oneWriteBytesMax, writeDigits } from './one-write.ts';
export { sendFresh } from './send-fresh.ts';
export { turnClock, turnMs } from './turn-clock.ts';
export type * from './upstream.ts';
