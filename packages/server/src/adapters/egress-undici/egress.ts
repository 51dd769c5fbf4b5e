import { lookup } from 'node:dns/promises';
import type { IpSet } from '@postern/core/base/netip';
import { type Refusal, refuse } from '@postern/core/errors';
import { err, ok, type Result } from '@postern/core/base';
import { abortSignalOf, type Egress, type OutboundRequest } from '../../http/index.ts';
import { setOf } from './address-rules.ts';
import { Exchange } from './answer.ts';
import { Dialer, type Place, type Resolve } from './dial.ts';
import { type EgressLimits, egressLimitsWith } from './limits.ts';
import { Pool } from './pool.ts';

export interface EgressOptions {
  /** Prefixes to treat as internal beside the well-known ones: a mesh range in public address space. */
  readonly internalPrefixes?: readonly string[];
  /** Name resolution; the operating system's by default. */
  readonly resolve?: Resolve;
  readonly limits?: Partial<EgressLimits>;
}

export interface EgressHandle {
  readonly egress: Egress;
  /** Closes every connection, also those in use. */
  close(): Promise<void>;
  /** Connections open now, for the metrics. */
  readonly connections: number;
}

/** Never written by a caller of egress: the transport sets them, or they must not be there. */
const transportHeaders: ReadonlySet<string> = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Builds the one way out. */
export function createEgress(options: EgressOptions = {}): EgressHandle {
  const exits = new Exits(options);
  return {
    egress: (request) => exits.send(request),
    close: () => exits.close(),
    get connections() {
      return exits.connections;
    },
  };
}

const systemResolve: Resolve = async (hostname) => {
  const found = await lookup(hostname, { all: true, order: 'verbatim' });
  return found.map((one) => one.address);
};

class Exits {
  readonly #limits: EgressLimits;
  readonly #resolve: Resolve;
  readonly #extraInternal: IpSet;
  /** In order of last use. */
  readonly #pools = new Map<string, Pool>();
  #closed = false;

  constructor(options: EgressOptions) {
    this.#limits = egressLimitsWith(options.limits ?? {});
    this.#resolve = options.resolve ?? systemResolve;
    this.#extraInternal = setOf(options.internalPrefixes ?? []);
  }

  get connections(): number {
    let sum = 0;
    for (const pool of this.#pools.values()) sum += pool.open;
    return sum;
  }

  async send(request: OutboundRequest): ReturnType<Egress> {
    const place = placeOf(request);
    if (!place.ok) return place;
    if (this.#closed) return refuse('draining', 'the gateway is shutting down');
    if (request.signal.aborted) return cancelled();
    const lease = this.#pool(place.value).acquire();
    if (lease === undefined) {
      return refuse('overloaded', 'too many connections to this upstream are open');
    }
    const exchange = new Exchange(
      lease,
      abortSignalOf(request.signal),
      request.timeouts,
      this.#limits,
    );
    lease.client.dispatch(
      {
        method: request.method,
        path: `${request.url.pathname}${request.url.search}`,
        headers: outboundHeaders(request),
        body: request.body ?? null,
      },
      exchange,
    );
    return await exchange.started;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()));
    this.#pools.clear();
  }

  /** A connection is shared only by calls with the same permission and the same authorities. */
  #pool(place: Place): Pool {
    const origin = `${place.protocol}//${urlHost(place.hostname)}:${place.port}`;
    const key = JSON.stringify([origin, place.internal, place.caPem ?? null, wayOf(place.via)]);
    const known = this.#pools.get(key);
    this.#pools.delete(key);
    const context = {
      resolve: this.#resolve,
      extraInternal: this.#extraInternal,
      limits: this.#limits,
    };
    const pool = known ?? new Pool(origin, new Dialer(place, context), this.#limits);
    this.#pools.set(key, pool);
    if (this.#pools.size > this.#limits.originsMax) this.#forgetOldest();
    return pool;
  }

  #forgetOldest(): void {
    for (const [key, pool] of this.#pools) {
      if (pool.isUnused && this.#pools.size > this.#limits.originsMax) {
        this.#pools.delete(key);
        void pool.close();
      }
    }
  }
}

function cancelled(): Result<never, Refusal> {
  return refuse('upstream_unavailable', 'the call was cancelled', {
    detail: { stage: 'cancelled' },
  });
}

function placeOf(request: OutboundRequest): Result<Place, Refusal> {
  const { url } = request;
  const { protocol } = url;
  if (protocol !== 'http:' && protocol !== 'https:') return bad('is neither http nor https');
  if (url.username !== '' || url.password !== '') return bad('has user info');
  const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (hostname === '') return bad('has no host');
  const port = url.port === '' ? (protocol === 'https:' ? 443 : 80) : Number(url.port);
  if (port === 0) return bad('has port 0');
  const { caPem, via } = request;
  return ok({ protocol, hostname, port, internal: request.permission.internal, caPem, via });
}

/** A connection through one proxy is none through another, or as somebody else. */
function wayOf(via: Place['via']): unknown {
  if (via === undefined) return null;
  const { kind, hostname, port, credentials } = via;
  return [kind, hostname, port, credentials?.user ?? null, credentials?.password.reveal() ?? null];
}

function bad(why: string): Result<never, Refusal> {
  return err({ code: 'egress_refused', message: `the upstream address ${why}` });
}

function urlHost(hostname: string): string {
  return hostname.includes(':') ? `[${hostname}]` : hostname;
}

function outboundHeaders(request: OutboundRequest): Record<string, string> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  for (const [name, value] of Object.entries(request.headers)) {
    if (!transportHeaders.has(name.toLowerCase())) headers[name] = value;
  }
  return headers;
}
