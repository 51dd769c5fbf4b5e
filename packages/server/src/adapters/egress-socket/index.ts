/**
 * @module The one way out, over sockets of our own: HTTP/1.1 written and read here, connections kept and shared.
 *
 * Budget of a kept call: one write for head and body; one read for a small answer, into memory that all connections
 * share, and one copy of its body out of it; no timer of its own; a head that is the same as the one before is neither
 * written nor read again. While the loop is busy, streams are read less often (`read-pace.ts`). Promises: the same as any
 * way out (`Egress`); where the socket goes is judged by the one dialer (`dialer/`); an answer is read strictly or
 * refused, a broken one never looks complete, and a connection on which anything was odd is never used again. Refuses:
 * redirects (they are answers), HTTP/2, compression, upgrades, retries. Limits: `limits.ts`.
 */
export { readAnswerHead, type AnswerHead } from './answer-head.ts';
export type { SocketEgressHandle as EgressHandle } from './egress.ts';
export {
  type SocketEgressLimits as EgressLimits,
  socketEgressLimits as egressLimits,
} from './limits.ts';
export { createEgress, type EgressOptions } from './open.ts';
