import type { buildConnector } from 'undici';
// The client alone: the package's main entry also loads fetch, WebSocket and caches, 13 MB that nothing here uses.
import Client from 'undici/lib/dispatcher/client.js';
import type { Refusal } from '@postern/core/errors';
import type { Dialer } from './dial.ts';
import type { EgressLimits } from './limits.ts';

/** A refusal on its way through undici, which knows errors only. */
export class DialFailure extends Error {
  override readonly name = 'DialFailure';
  readonly code = 'POSTERN_DIAL';
  readonly refusal: Refusal;

  constructor(why: Refusal) {
    super(why.message);
    this.refusal = why;
  }
}

/** One connection and the right to use it for one exchange. */
export interface Lease {
  readonly client: Client;
  /** The connection served another exchange before this one. */
  readonly reused: boolean;
  /** Gives the connection back, for reuse if it is still good. */
  release(): void;
  /** Closes it now, connected or not. */
  destroy(): void;
}

/**
 * Connections to one place, last in first out: the warmest is used first and the others get old and close. One
 * exchange at a time on each; a request never waits in a queue that the caller cannot see.
 */
export class Pool {
  readonly #origin: string;
  readonly #dialer: Dialer;
  readonly #limits: EgressLimits;
  readonly #idle: Client[] = [];
  readonly #open = new Set<Client>();

  constructor(origin: string, dialer: Dialer, limits: EgressLimits) {
    this.#origin = origin;
    this.#dialer = dialer;
    this.#limits = limits;
  }

  get isUnused(): boolean {
    return this.#open.size === this.#idle.length;
  }

  get open(): number {
    return this.#open.size;
  }

  /** Undefined at the limit. */
  acquire(): Lease | undefined {
    for (let warm = this.#idle.pop(); warm !== undefined; warm = this.#idle.pop()) {
      if (warm.stats.connected) return this.#lease(warm, true, () => undefined);
      void this.#drop(warm);
    }
    if (this.#open.size >= this.#limits.connectionsPerOriginMax) return undefined;
    const abort = new AbortController();
    const client = this.#connection(abort.signal);
    this.#open.add(client);
    return this.#lease(client, false, () => abort.abort());
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((client) => this.#drop(client)));
  }

  #lease(client: Client, reused: boolean, stopDialing: () => void): Lease {
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      this.#offer(client);
    };
    const destroy = (): void => {
      if (!held) return;
      held = false;
      stopDialing();
      void this.#drop(client);
    };
    return { client, reused, release, destroy };
  }

  #connection(signal: AbortSignal): Client {
    const client = new Client(this.#origin, {
      pipelining: 1,
      // Our own timers measure each phase; undici's are coarse.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: this.#limits.headBytesMax,
      keepAliveTimeout: this.#limits.keepAliveMs,
      keepAliveMaxTimeout: this.#limits.keepAliveMsMax,
      strictContentLength: true,
      allowH2: false,
      connect: (_options, callback) => void this.#connect(signal, callback),
    });
    // One connection, one client: a closed connection is never silently dialled again.
    client.once('disconnect', () => void this.#drop(client));
    client.once('connectionError', () => void this.#drop(client));
    return client;
  }

  async #connect(signal: AbortSignal, callback: buildConnector.Callback): Promise<void> {
    const dialed = await this.#dialer.dial(signal);
    if (dialed.ok) callback(null, dialed.value);
    else callback(new DialFailure(dialed.error), null);
  }

  /** After the last callback of an exchange undici still decides whether the connection lives. */
  #offer(client: Client): void {
    setImmediate(() => {
      const usable = this.#open.has(client) && client.stats.connected;
      if (usable && this.#idle.length < this.#limits.idlePerOriginMax) this.#idle.push(client);
      else void this.#drop(client);
    });
  }

  async #drop(client: Client): Promise<void> {
    this.#open.delete(client);
    const at = this.#idle.indexOf(client);
    if (at !== -1) this.#idle.splice(at, 1);
    await client.destroy();
  }
}
