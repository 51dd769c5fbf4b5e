import type { Socket } from 'node:net';
import { cutConnection } from './connection.ts';
import type { Peer } from './exchange.ts';

/**
 * The sockets behind peers, for whoever has to end a connection because of who is at its other end. A peer is one
 * object for as long as its connection lives, so that this costs nothing for each request.
 */
const sockets = new WeakMap<Peer, Socket>();

export function rememberPeer(peer: Peer, socket: Socket): void {
  sockets.set(peer, socket);
}

/** Cuts the connection, visibly; false where it is gone already. */
export function cutPeer(peer: Peer): boolean {
  const socket = sockets.get(peer);
  if (socket === undefined || socket.destroyed) return false;
  cutConnection(socket);
  return true;
}

/** Calls back once when the connection has ended; at once where it has. */
export function whenPeerLeaves(peer: Peer, left: () => void): void {
  const socket = sockets.get(peer);
  if (socket === undefined || socket.destroyed) left();
  else socket.once('close', left);
}
