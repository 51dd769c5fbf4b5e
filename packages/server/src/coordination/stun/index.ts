/**
 * @module STUN for Tailscale clients: they ask from which address and port their packets arrive (RFC 8489 binding).
 *
 * Promises: only requests of Tailscale clients are answered, with about as many bytes as they sent; damaged ones are
 * never answered; work and memory per source are bounded. Refuses: every other STUN method, authentication, TURN.
 * Limits: `stunLimits`. The UDP socket belongs to the caller.
 */
export {
  type AddrPort,
  type BindingResponse,
  formatBindingRequest,
  formatBindingResponse,
  isStun,
  parseBindingRequest,
  parseBindingResponse,
  type StunProblem,
  type TransactionId,
} from './message.ts';
export {
  type DatagramSource,
  type StunLimits,
  stunLimits,
  StunServer,
  type StunStats,
} from './server.ts';
