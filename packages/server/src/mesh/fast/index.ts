/**
 * @module The short way through the mesh's doors: requests of the usual shape go from socket to socket, read by strict
 * readers of our own.
 *
 * Budget of a request on kept connections: one scan for each head, one write in each direction, no stream, no promise, no
 * timer; a head that is the same as the one before is neither judged nor rewritten again.
 * Promises: whatever is not of that shape to the last byte (other methods, chunks from the caller, switches, an unfinished
 * head, several requests at once) is handed over to node:http, socket and bytes, before anything of it had an effect; the
 * same judgement of heads, the same fields and answers as there; a broken answer is cut. Refuses: bodies before the peer was
 * judged, a second request on a connection on which anything was odd. Limits: those of the mesh.
 */
export type { FastDoor, FastWay } from './door.ts';
export { FastLane } from './lane.ts';
export { readPassedHead, type PassedHead } from './answer-head.ts';
export { ChunkPass } from './chunk-pass.ts';
export { Wire } from './wire.ts';
export { WirePool, type WireDialer } from './wire-pool.ts';
