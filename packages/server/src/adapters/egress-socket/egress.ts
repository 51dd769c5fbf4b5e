import { err, type Result } from '@postern/core/base';
import { type Refusal, refuse } from '@postern/core/errors';
import type { Egress, OutboundProxy, OutboundRequest } from '../../http/index.ts';
import { turnMs } from '../../http/index.ts';
import { Deadlines } from './deadlines.ts';
import { Exchange, type ExchangeContext } from './exchange.ts';
import { type SocketEgressLimits, socketEgressLimitsWith } from './limits.ts';
import type { SocketDialer, SocketPlace } from './place.ts';
import { Pool } from './pool.ts';
import { type Pace, ReadPace } from './read-pace.ts';
import { requestHead } from './request-head.ts';

export interface SocketEgressOptions {
  /** Makes the dialer of a place. It judges every address, each time that it connects. */
  readonly dialer: (place: SocketPlace) => SocketDialer;
  readonly limits?: Partial<SocketEgressLimits>;
  /** When streams are read; by default as the load of this loop allows. */
  readonly pace?: Pace;
}

export interface SocketEgressHandle {
  readonly egress: Egress;
  /** Closes every connection, also those in use. */
  close(): Promise<void>;
  /** Connections open now, for the metrics. */
  readonly connections: number;
}

/** Builds the one way out. */
export function createSocketEgress(options: SocketEgressOptions): SocketEgressHandle {
  const exits = new Exits(options);
  return {
    egress: (request) => exits.send(request),
    close: () => exits.close(),
    get connections() {
      return exits.connections;
    },
  };
}

class Exits {
  readonly #dialer: SocketEgressOptions['dialer'];
  readonly #limits: SocketEgressLimits;
  readonly #context: ExchangeContext;
  /** In order of last use. */
  readonly #pools = new Map<string, Pool>();
  /** What the call before went over: most calls go where the one before went. */
  #last: { readonly way: Way; readonly pool: Pool } | undefined;
  #closed = false;

  constructor(options: SocketEgressOptions) {
    this.#dialer = options.dialer;
    this.#limits = socketEgressLimitsWith(options.limits ?? {});
    this.#context = {
      limits: this.#limits,
      deadlines: new Deadlines(this.#limits.sweepMs),
      pace: options.pace ?? new ReadPace(),
    };
  }

  get connections(): number {
    let sum = 0;
    for (const pool of this.#pools.values()) sum += pool.open;
    return sum;
  }

  send(request: OutboundRequest): ReturnType<Egress> {
    const exchange = this.#begun(request);
    return exchange instanceof Exchange ? exchange.started : Promise.resolve(exchange);
  }

  #begun(request: OutboundRequest): Exchange | Result<never, Refusal> {
    const last = this.#last;
    const isSame = last !== undefined && isSameWay(last.way, request);
    const fault = isSame ? undefined : urlFault(request.url);
    if (fault !== undefined) return refuseUrl(fault);
    if (this.#closed) return refuse('draining', 'the gateway is shutting down');
    const { signal, timeouts, body } = request;
    if (signal.aborted) return cancelled();
    const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body?.length;
    const head = requestHead(request, bytes);
    if (!head.ok) return refuseUrl(head.error);
    const pool = isSame ? last.pool : this.#pool(request);
    const nowMs = turnMs();
    const warm = pool.take(nowMs);
    if (warm === undefined && pool.isFull) {
      return refuse('overloaded', 'too many connections to this upstream are open');
    }
    const exchange = new Exchange(pool, this.#context, { signal, timeouts, nowMs });
    // A text of as many bytes as characters is ASCII, the same in both encodings.
    const isAscii = typeof body === 'string' && bytes === body.length;
    exchange.begin(warm, { head: head.value, body, isAscii }, nowMs);
    return exchange;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const pool of this.#pools.values()) pool.close();
    this.#pools.clear();
  }

  /** A connection is shared only by calls with the same permission and the same authorities. */
  #pool(request: OutboundRequest): Pool {
    const pool = this.#poolOf(request);
    const { url, permission, caPem, via } = request;
    // Not the request itself: its body would live on in it.
    this.#last = { way: { url, permission, caPem, via }, pool };
    return pool;
  }

  #poolOf(request: OutboundRequest): Pool {
    const { url, permission, caPem, via } = request;
    const way = via === undefined ? '' : wayOf(via);
    const key = `${permission.internal ? 'i' : 'p'} ${url.origin} ${way} ${caPem ?? ''}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = new Pool(this.#dialer(placeOf(request)), this.#limits);
      this.#pools.set(key, pool);
      if (this.#pools.size > this.#limits.originsMax) this.#forgetOldest();
    } else if (this.#pools.size > 1) {
      this.#pools.delete(key);
      this.#pools.set(key, pool);
    }
    return pool;
  }

  #forgetOldest(): void {
    for (const [key, pool] of this.#pools) {
      if (pool.isUnused && this.#pools.size > this.#limits.originsMax) {
        this.#pools.delete(key);
        this.#last = undefined;
        pool.close();
      }
    }
  }
}

function cancelled(): Result<never, Refusal> {
  return refuse('upstream_unavailable', 'the call was cancelled', {
    detail: { stage: 'cancelled' },
  });
}

function refuseUrl(why: string): Result<never, Refusal> {
  return err({ code: 'egress_refused', message: `the upstream address ${why}` });
}

interface Way {
  readonly url: URL;
  readonly permission: OutboundRequest['permission'];
  readonly caPem: string | undefined;
  readonly via: OutboundProxy | undefined;
}

function isSameWay(a: Way, b: OutboundRequest): boolean {
  return (
    a.url === b.url &&
    a.permission.internal === b.permission.internal &&
    a.caPem === b.caPem &&
    a.via === b.via
  );
}

function urlFault(url: URL): string | undefined {
  const { protocol } = url;
  if (protocol !== 'http:' && protocol !== 'https:') return 'is neither http nor https';
  if (url.username !== '' || url.password !== '') return 'has user info';
  if (url.hostname === '') return 'has no host';
  return url.port === '0' ? 'has port 0' : undefined;
}

/** A connection through one proxy is none through another, or as somebody else. */
function wayOf({ kind, hostname, port, credentials }: OutboundProxy): string {
  const login = [credentials?.user, credentials?.password.reveal()];
  return JSON.stringify([kind, hostname, port, ...login]);
}

function placeOf({ url, permission, caPem, via }: OutboundRequest): SocketPlace {
  const protocol = url.protocol === 'https:' ? 'https:' : 'http:';
  const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? (protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { protocol, hostname, port, internal: permission.internal, caPem, via };
}
