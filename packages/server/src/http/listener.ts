import type { Duplex } from 'node:stream';
import type { Result } from '@postern/core/base';
import type { ErrorCode } from '@postern/core/errors';
import type {
  ConnectionEvidence,
  HttpHandler,
  HttpRequest,
  ListenerKind,
  Peer,
} from './exchange.ts';
import type { HttpLimits } from './limits.ts';

/** Where a listener listens. */
export type Bind =
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      /** A socket that the service manager opened and handed over; host and port are then its own. */
      readonly fd?: number;
    }
  | {
      readonly kind: 'tls';
      readonly host: string;
      readonly port: number;
      readonly fd?: number;
      readonly certificatePem: string;
      readonly keyPem: string;
    }
  /** `mode` is set on the socket file before anybody may connect. A stale file of a dead process is replaced. */
  | { readonly kind: 'unix'; readonly path: string; readonly mode: number };

export interface ListenerOptions {
  readonly kind: ListenerKind;
  readonly bind: Bind;
  readonly handler: HttpHandler;
  /**
   * Names and addresses that `Host` may have (any port), a leading dot for everything below a name; undefined where
   * identity is not ambient.
   */
  readonly hosts: readonly string[] | undefined;
  /** Proxies whose `X-Forwarded-For` counts, as prefixes; a public plain listener closes any other peer. */
  readonly trustedProxies: readonly string[];
  /** Close every peer that is no trusted proxy before a byte is read (public edge behind a balancer). */
  readonly onlyTrustedProxies: boolean;
  /** Identity headers that this listener believes (serve socket); all others are always stripped. */
  readonly believedHeaders: readonly string[];
  /** Called once at accept, before any byte is read. */
  readonly inspect?: (peer: Peer) => ConnectionEvidence;
  /** Asked at accept, before any byte is read: true closes the connection without a word. */
  readonly turnsAway?: (peer: Peer) => boolean;
  readonly newRequestId: () => string;
  readonly nowMs: () => number;
  /** Smaller or larger limits than the defaults of `limits.ts`. */
  readonly limits?: Partial<HttpLimits>;
  /** `node`: every request is read by node:http. By default those of the usual shape are read by our own reader. */
  readonly reader?: 'fast' | 'node';
  /** Path prefixes, each ending in `/`, under which an identifier may contain `%2F`; none by default. */
  readonly encodedSlashUnder?: readonly string[];
  /** Takes over connections that ask for another protocol (RFC 9110 section 7.8); without it they are refused. */
  readonly upgrade?: UpgradeHandler;
  /** A handler threw: a bug. The caller already gets `internal` with the request id. */
  readonly onFault?: (cause: unknown, requestId: string) => void;
  /** The listener itself refused a request, before any handler saw it. Must not throw. */
  readonly onRefused?: (refused: RefusedRequest) => void;
}

/** A request that no handler saw: malformed, too large, addressed to another name, or one connection too many. */
export interface RefusedRequest {
  readonly requestId: string;
  readonly listener: ListenerKind;
  readonly code: ErrorCode;
  readonly status: number;
  /** As received, where the head could be read at all; the target may be long and hold anything. */
  readonly method: string | undefined;
  readonly target: string | undefined;
  readonly peerAddress: string | undefined;
  readonly atMs: number;
}

/**
 * Owns the socket from here on: writes `101` or a refusal, and closes it. `head` holds the bytes that followed the
 * request.
 */
export type UpgradeHandler = (request: HttpRequest, socket: Duplex, head: Uint8Array) => void;

export interface Listener {
  readonly kind: ListenerKind;
  /** `127.0.0.1:8080`, `[::1]:8080` or the socket path: for people. */
  readonly address: string;
  readonly port: number | undefined;
  /** Replace the certificate of a TLS listener for new connections. Throws where the pair is unusable; the old one then stays. */
  renewCertificate(certificatePem: string, keyPem: string): void;
  /** Stop accepting; answer what is open; after `graceMs` cut what is left. Resolves when all connections are closed. */
  close(graceMs: number): Promise<void>;
  /** Connections open now. */
  readonly connections: number;
}

/** Why a listener could not open, in words that name the owner of a busy port where the system tells it. */
export interface ListenProblem {
  readonly kind: 'busy' | 'no-such-family' | 'denied' | 'other';
  readonly message: string;
}

export type OpenListener = (options: ListenerOptions) => Promise<Result<Listener, ListenProblem>>;
