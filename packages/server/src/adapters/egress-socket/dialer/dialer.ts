import { connect as connectTcp, type LookupFunction, type OnReadOpts, type Socket } from 'node:net';
import {
  checkServerIdentity,
  connect as connectTls,
  type ConnectionOptions,
  getCACertificates,
  type PeerCertificate,
  type TLSSocket,
} from 'node:tls';
import { err, ok, type Result, type Soon } from '@postern/core/base';
import { formatAddr, type IpSet, parseAddr, unmap } from '@postern/core/base/netip';
import { type Refusal, refusal, refuse } from '@postern/core/errors';
import type { CallSignal, OutboundProxy } from '../../../http/index.ts';
import { socketEgressLimits } from '../limits.ts';
import type { SocketDialer, SocketPlace } from '../place.ts';
import { classifyAddress } from './address-rules.ts';
import { openTunnel, type TunnelFailure } from './tunnel.ts';

/** Finds the addresses of a name. Ours, so that what was checked is what gets connected to. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

export interface DialContext {
  readonly resolve: Resolve;
  /** Prefixes that count as internal beside the well-known ones: a mesh range in public address space. */
  readonly extraInternal: IpSet;
}

const tcpKeepAliveMs = 60_000;
const tlsVersionMin = 'TLSv1.2';

/** What a socket is waited for. */
interface Expected {
  readonly event: 'connect' | 'secureConnect';
  readonly hostname: string;
  readonly addresses: readonly string[] | undefined;
  readonly signal: CallSignal;
}

/** RFC 6761: never anything but this machine, whoever resolves it. */
const localNames = /(?:^|\.)localhost\.?$/i;
const ignore = (): void => undefined;

/** Connects to an address that was checked in this very call. */
export class Dialer implements SocketDialer {
  readonly #place: SocketPlace;
  readonly #context: DialContext;
  /** The last TLS session with this place: resuming one halves the cost of a handshake. */
  #session: Buffer | undefined;
  /** What was found of a place that is an address: that does not change. */
  #literal: Result<readonly string[], Refusal> | undefined;

  constructor(place: SocketPlace, context: DialContext) {
    this.#place = place;
    this.#context = context;
  }

  async dial(signal: CallSignal, onread?: OnReadOpts): Promise<Result<Socket, Refusal>> {
    const { via, hostname, port, internal } = this.#place;
    if (via !== undefined) return await this.#dialThrough(via, signal);
    const known = this.#literal ?? this.#addresses({ hostname, internal });
    const addresses = known instanceof Promise ? await known : known;
    if (!addresses.ok) return addresses;
    if (known === addresses) this.#literal = addresses;
    if (signal.aborted) return cancelled();
    const to = connectionTo(hostname, port, addresses.value, onread);
    const socket = this.#place.protocol === 'http:' ? connectTcp(to) : this.#tls(to);
    const event = this.#place.protocol === 'http:' ? 'connect' : 'secureConnect';
    return await this.#connected(socket, { event, hostname, addresses: addresses.value, signal });
  }

  /**
   * To the proxy, whose address the operator wrote, and through it. The proxy resolves the name, so that an address
   * can be judged only where one is written; a name that nobody of ours wrote is believed over TLS alone.
   */
  async #dialThrough(via: OutboundProxy, signal: CallSignal): Promise<Result<Socket, Refusal>> {
    const { protocol, hostname, port } = this.#place;
    const reachable = this.#judgeBehindProxy();
    if (!reachable.ok) return reachable;
    const addresses = await this.#addresses({ hostname: via.hostname, internal: true });
    if (!addresses.ok) return addresses;
    if (signal.aborted) return cancelled();
    const socket = connectTcp(connectionTo(via.hostname, via.port, addresses.value));
    const toProxy = { hostname: via.hostname, addresses: addresses.value, signal };
    const connected = await this.#connected(socket, { ...toProxy, event: 'connect' });
    if (!connected.ok) return connected;
    const stop = (): void => void socket.destroy();
    signal.addEventListener('abort', stop, { once: true });
    socket.on('error', ignore);
    const tunnel = await openTunnel(socket, via, { hostname: hostname.replace(/\.$/, ''), port });
    signal.removeEventListener('abort', stop);
    if (!tunnel.ok || signal.aborted) {
      socket.destroy();
      return tunnel.ok ? cancelled() : refuseTunnel(hostname, tunnel.error);
    }
    socket.off('error', ignore);
    if (protocol === 'http:') return ok(socket);
    const secured = this.#tls({ socket });
    return await this.#connected(secured, {
      event: 'secureConnect',
      hostname,
      addresses: undefined,
      signal,
    });
  }

  #judgeBehindProxy(): Result<undefined, Refusal> {
    const { protocol, hostname, internal } = this.#place;
    const literal = parseAddr(hostname);
    if (literal.ok) {
      const checked = this.#judge(hostname, [hostname], { internal, isLiteral: true });
      return checked.ok ? ok(undefined) : checked;
    }
    if (internal || (protocol === 'https:' && !localNames.test(hostname))) return ok(undefined);
    return refuseAddress(hostname, hostname, 'internal');
  }

  /** Every address of the name must be allowed: an answer that mixes kinds is an attempt at rebinding. */
  #addresses(
    place: Pick<SocketPlace, 'hostname' | 'internal'>,
  ): Soon<Result<readonly string[], Refusal>> {
    const { hostname, internal } = place;
    if (!parseAddr(hostname).ok) return this.#addressesOfName(place);
    return this.#judge(hostname, [hostname], { internal, isLiteral: true });
  }

  async #addressesOfName({
    hostname,
    internal,
  }: Pick<SocketPlace, 'hostname' | 'internal'>): Promise<Result<readonly string[], Refusal>> {
    const found = await this.#resolved(hostname);
    if (!found.ok) return found;
    if (found.value.length === 0 || found.value.length > socketEgressLimits.addressesMax) {
      return refuse('upstream_unavailable', `the name ${hostname} has no usable address`);
    }
    return this.#judge(hostname, found.value, { internal, isLiteral: false });
  }

  #judge(
    hostname: string,
    found: readonly string[],
    { internal, isLiteral }: { readonly internal: boolean; readonly isLiteral: boolean },
  ): Result<readonly string[], Refusal> {
    const checked: string[] = [];
    for (const text of found) {
      const parsed = parseAddr(text);
      const kind = parsed.ok ? classifyAddress(parsed.value, this.#context.extraInternal) : 'never';
      const allowed =
        kind === 'public' ||
        (internal && kind === 'internal') ||
        (internal && isLiteral && kind === 'literal');
      if (!parsed.ok || !allowed) return refuseAddress(hostname, text, kind);
      checked.push(formatAddr(parsed.value));
    }
    return ok(checked);
  }

  async #resolved(hostname: string): Promise<Result<readonly string[], Refusal>> {
    try {
      return ok(await this.#context.resolve(hostname));
    } catch (cause) {
      const detail = { stage: 'resolve', cause: codeOf(cause) };
      return refuse('upstream_unavailable', `the name ${hostname} cannot be resolved`, { detail });
    }
  }

  #tls(to: ConnectionOptions): TLSSocket {
    const { hostname, caPem } = this.#place;
    const socket = connectTls({
      ...to,
      // Explicit, so that no environment variable can switch it off.
      rejectUnauthorized: true,
      minVersion: tlsVersionMin,
      checkServerIdentity: (_host, certificate) => checkNames(hostname, certificate),
      ALPNProtocols: ['http/1.1'],
      servername: parseAddr(hostname).ok ? '' : hostname.replace(/\.$/, ''),
      ...(caPem === undefined ? {} : { ca: [...getCACertificates('default'), caPem] }),
      ...(this.#session === undefined ? {} : { session: this.#session }),
    });
    socket.on('session', (session) => {
      if (socket.authorized) this.#session = session;
    });
    return socket;
  }

  /** `addresses` undefined: the connection under it was judged already. */
  #connected(
    socket: Socket,
    { event, hostname, addresses, signal }: Expected,
  ): Promise<Result<Socket, Refusal>> {
    const { promise, resolve } = Promise.withResolvers<Result<Socket, Refusal>>();
    const settle = (outcome: Result<Socket, Refusal>): void => {
      socket.off(event, onConnect).off('error', onError).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      if (!outcome.ok) {
        socket.on('error', () => undefined);
        socket.destroy();
      }
      resolve(outcome);
    };
    const onConnect = (): void => {
      const told = socket.remoteAddress ?? '';
      const reached = addresses?.includes(told) === true ? told : canonical(told);
      const expected = addresses?.includes(reached) ?? true;
      settle(expected ? ok(socket) : refuseAddress(hostname, reached, 'never'));
    };
    const onError = (cause: Error): void => {
      this.#session = undefined;
      settle(err(dialRefusal(hostname, cause)));
    };
    const onClose = (): void => onError(new Error('closed'));
    const onAbort = (): void => settle(cancelled());
    // The first of them takes all of them off.
    socket.on(event, onConnect).on('error', onError).on('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    return promise;
  }
}

function connectionTo(
  hostname: string,
  port: number,
  addresses: readonly string[],
  onread?: OnReadOpts,
) {
  return {
    ...(onread === undefined ? {} : { onread }),
    host: hostname,
    port,
    lookup: lookupOf(addresses),
    autoSelectFamily: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: tcpKeepAliveMs,
  };
}

function cancelled(): Result<never, Refusal> {
  return refuse('upstream_unavailable', 'the call was cancelled', {
    detail: { stage: 'cancelled' },
  });
}

function refuseTunnel(hostname: string, { code, message }: TunnelFailure): Result<never, Refusal> {
  return refuse('upstream_unavailable', `the proxy on the way to ${hostname} ${message}`, {
    detail: { stage: 'connect', cause: code },
  });
}

function lookupOf(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  return (_hostname, options, callback) => {
    const [first] = found;
    if (options.all === true || first === undefined) callback(null, found);
    else callback(null, first.address, first.family);
  };
}

/** RFC 9525: the common name of the subject names nobody. Node still reads it where there is no DNS name. */
function checkNames(hostname: string, certificate: PeerCertificate): Error | undefined {
  const names = certificate.subjectaltname ?? '';
  const wanted = parseAddr(hostname).ok ? 'IP Address:' : 'DNS:';
  if (names.includes(wanted)) return checkServerIdentity(hostname, certificate);
  const fault = new Error('the certificate has no alternative name of this kind');
  return Object.assign(fault, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}

function refuseAddress(hostname: string, address: string, kind: string): Result<never, Refusal> {
  const why =
    kind === 'internal'
      ? 'is an internal address, which the configuration does not allow for this provider'
      : 'is an address that providers cannot have';
  return refuse('egress_refused', `${hostname} ${why}`, {
    detail: { stage: 'connect', address, kind },
  });
}

/** Codes of OpenSSL's verifier and of Node's own name check. */
const certificateCodes = /CERT|UNABLE_TO_|SELF_SIGNED|ISSUER|ALTNAME|CRL|CA_|HOSTNAME|PATH_LENGTH/;

function dialRefusal(hostname: string, cause: Error): Refusal {
  const code = codeOf(cause);
  const detail = { stage: 'connect', cause: code };
  const message = certificateCodes.test(code)
    ? `the certificate of ${hostname} does not verify`
    : `${hostname} cannot be reached`;
  return refusal('upstream_unavailable', message, { detail });
}

export function codeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'unknown';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
}

function canonical(text: string): string {
  const parsed = parseAddr(text);
  return parsed.ok ? formatAddr(unmap(parsed.value)) : text;
}
