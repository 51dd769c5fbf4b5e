import type { Place } from '@postern/core/base';
import { Roll } from '@postern/core/base';
import type { Caller } from '@postern/core/identity';
import type { HttpRequest, Peer } from '../../http/index.ts';
import { ByPeer, cutPeer, whenPeerLeaves } from '../../http/index.ts';

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
  readonly #byPeer = new ByPeer<Place<LiveCaller>>();
  readonly #here = new Roll<LiveCaller>();

  /** One look-up for each request; a connection is entered once. */
  saw(request: HttpRequest, caller: Caller): LiveCaller {
    const { peer } = request;
    const known = this.#byPeer.get(peer);
    if (known !== undefined) {
      known.item.request = request;
      known.item.caller = caller;
      return known.item;
    }
    const place = this.#here.add({ request, caller });
    this.#byPeer.set(peer, place);
    whenPeerLeaves(peer, () => this.#forget(peer));
    return place.item;
  }

  all(): readonly LiveCaller[] {
    return this.#here.all();
  }

  cut({ request }: LiveCaller): boolean {
    this.#forget(request.peer);
    return cutPeer(request.peer);
  }

  #forget(peer: Peer): void {
    const place = this.#byPeer.get(peer);
    if (place === undefined) return;
    this.#here.remove(place);
    this.#byPeer.set(peer, undefined);
  }
}
