import type { Caller } from '@postern/core/identity';
import type { HttpRequest, Peer } from '../../http/index.ts';
import { cutPeer, whenPeerLeaves } from '../../http/index.ts';

/** The last request of a connection, and who made it. */
export interface LiveCaller {
  request: HttpRequest;
  caller: Caller;
}

/**
 * Who is at the other end of each open connection. A connection answers one request after the other, so the last one
 * that was identified is the one that may be streaming now.
 */
export class LiveCallers {
  readonly #byPeer = new Map<Peer, LiveCaller>();

  /** One look-up for each request; a connection is entered once. */
  saw(request: HttpRequest, caller: Caller): LiveCaller {
    const { peer } = request;
    const known = this.#byPeer.get(peer);
    if (known !== undefined) {
      known.request = request;
      known.caller = caller;
      return known;
    }
    const entry = { request, caller };
    this.#byPeer.set(peer, entry);
    whenPeerLeaves(peer, () => this.#byPeer.delete(peer));
    return entry;
  }

  all(): readonly LiveCaller[] {
    return [...this.#byPeer.values()];
  }

  cut({ request }: LiveCaller): boolean {
    this.#byPeer.delete(request.peer);
    return cutPeer(request.peer);
  }
}
