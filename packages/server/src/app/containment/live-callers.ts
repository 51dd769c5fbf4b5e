import type { Caller } from '@postern/core/identity';
import type { HttpRequest, Peer, Rolled } from '../../http/index.ts';
import { ByPeer, cutPeer, Roll, whenPeerLeaves } from '../../http/index.ts';

/** The last request of a connection, and who made it. */
export interface LiveCaller extends Rolled {
  request: HttpRequest;
  caller: Caller;
}

/**
 * Who is at the other end of each open connection. A connection answers one request after the other, so the last one
 * that was identified is the one that may be streaming now.
 */
export class LiveCallers {
  readonly #byPeer = new ByPeer<LiveCaller>();
  readonly #here = new Roll<LiveCaller>();

  /** One look-up for each request; a connection is entered once. */
  saw(request: HttpRequest, caller: Caller): LiveCaller {
    const { peer } = request;
    const known = this.#byPeer.get(peer);
    if (known !== undefined) {
      known.request = request;
      known.caller = caller;
      return known;
    }
    const entry = { request, caller, place: -1 };
    this.#here.add(entry);
    this.#byPeer.set(peer, entry);
    whenPeerLeaves(peer, () => this.#forget(peer));
    return entry;
  }

  all(): readonly LiveCaller[] {
    const all: LiveCaller[] = [];
    this.#here.each((entry) => void all.push(entry));
    return all;
  }

  cut({ request }: LiveCaller): boolean {
    this.#forget(request.peer);
    return cutPeer(request.peer);
  }

  #forget(peer: Peer): void {
    const entry = this.#byPeer.get(peer);
    if (entry === undefined) return;
    this.#here.delete(entry);
    this.#byPeer.set(peer, undefined);
  }
}
