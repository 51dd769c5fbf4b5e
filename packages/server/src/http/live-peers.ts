import type { Socket } from 'node:net';
import { cutConnection } from './connection.ts';
import type { Peer } from './exchange.ts';

/**
 * Something about each peer, kept in the peer: it is one object for as long as its connection lives, so that this costs nothing for
 * each request. A WeakMap would do the same; with an entry for each connection the collector pays for it.
 */
export class ByPeer<T extends object> {
  readonly #name = Symbol('by peer');

  get(peer: Peer): T | undefined {
    // What is under this name, `set` put there.
    return Reflect.get(peer, this.#name) as T | undefined;
  }

  set(peer: Peer, value: T | undefined): void {
    Reflect.defineProperty(peer, this.#name, { value, configurable: true });
  }
}

/** The sockets behind peers, for whoever has to end a connection because of who is at its other end. */
const sockets = new ByPeer<Socket>();

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
