/**
 * @module The embedded coordination server: stock Tailscale clients join, learn of each other and are told what the
 * policy lets through (ts2021).
 *
 * Promises: a machine is who its Noise key says, and a node key never leaves the machine that registered it; nobody is
 * told of a machine that no rule connects them with; decisions are in the journal, so that a restart asks nobody to
 * sign in again; after the first map a client gets changes only; of several servers that share a network one serves;
 * what a machine that nobody knows can make it hold is bounded. Refuses: opening sockets (the app does), tailnet lock,
 * Funnel, posture attributes that machines set themselves, WebSocket clients. Limits: `coordinationLimits`.
 */
export { type Coordination, createCoordination, type MachineFacts } from './coordination.ts';
export { controlKeyFile } from './control-key.ts';
export type { PendingJoin } from './joining/pending.ts';
export { coordinationLimits } from './limits.ts';
export type * from './ports.ts';
