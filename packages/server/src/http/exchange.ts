import type { Result, Soon } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { CallSignal } from './call-signal.ts';
import type { HeaderLines } from './header-lines.ts';

/** What a listener is for. Each has exactly one kind of trust (one way in which its callers are believed). */
export type ListenerKind =
  | 'gateway'
  | 'serve'
  | 'tailnet'
  | 'routed'
  | 'public'
  | 'control-socket'
  | 'control'
  | 'admin'
  | 'mesh-inbound'
  | 'mesh-outbound'
  | 'mesh-auth'
  | 'coordination';

/** The other end of a connection, as the socket itself says. Unix sockets have no addresses. */
export interface Peer {
  readonly transport: 'tcp' | 'tls' | 'unix';
  readonly address: string | undefined;
  readonly port: number | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
}

/**
 * What was learnt about a connection at accept, before any byte of it was read. Requests of that connection carry it.
 * `localOwner` says whether the socket's owner on this machine is the user that runs this process.
 */
export interface ConnectionEvidence {
  readonly localOwner: { readonly ours: true } | { readonly ours: false; readonly why: string };
}

/** Request headers after stripping: names in lower case; values as received; identity headers only where this listener believes them. */
export interface RequestHeaders {
  /** The value, several of the same name joined by `, `; undefined where there is none. */
  get(name: string): string | undefined;
  has(name: string): boolean;
  entries(): IterableIterator<readonly [string, string]>;
  /**
   * What whoever judges callers found out of these headers, for the next request that has the very same ones. It
   * goes with them. A WeakMap would do the same, but what is put into one with every request is kept by all quick
   * rounds of the collector and left to the long one.
   */
  memo?: unknown;
}

/** One request, its framing already judged: unambiguous, bounded, addressed to us. */
export interface HttpRequest {
  /** Ours, never the caller's: it names the request in logs, answers and records. */
  readonly id: string;
  readonly listener: ListenerKind;
  readonly method: string;
  /** Absolute path without the query; no dot segments, no `//`, no encoded slash, no fragment. */
  readonly path: string;
  /** Without the `?`; empty where there is none. */
  readonly query: string;
  readonly headers: RequestHeaders;
  readonly peer: Peer;
  /** The true client where `peer` is a trusted proxy, else the peer's address. For the record and for IP blocks, never identity. */
  readonly clientAddress: string | undefined;
  /** Some `Forwarded`, `Via`, `X-Forwarded-*` or like header was sent, whether or not it was believed. */
  readonly sawForwarding: boolean;
  /** Some identity header was sent, whether or not it was believed. */
  readonly sawIdentityHeaders: boolean;
  readonly evidence: ConnectionEvidence | undefined;
  readonly receivedAtMs: number;
  /** Aborted when the client goes away before the answer is complete. */
  readonly signal: CallSignal;
  /** The whole body within `bytesMax`, arriving without long pauses; refuses `body_too_large`, `request_timeout`, `unsupported_encoding`, and `malformed_http` when the client left before the end. Once for each request; at once where it is there already. */
  readBody(bytesMax: number): Soon<Result<Uint8Array, Refusal>>;
}

export type ResponseHeaders = Readonly<Record<string, string>>;

/** A body that is written piece by piece. */
export interface HttpStream {
  /**
   * True at once where more may be written; else resolves when it may (back-pressure). False when the client is gone or
   * too slow and the stream is dead.
   */
  write(bytes: Uint8Array): true | Promise<boolean>;
  /** Ends the body cleanly. */
  end(): void;
  /** Cuts the connection, so that the client sees a broken body and never a complete one. */
  destroy(): void;
}

/** The answer to one request: exactly one of `send` and `start`, once. */
export interface HttpReply {
  readonly started: boolean;
  /** Headers that the answer has besides its own, of other names. Before it starts, once. */
  add(lines: HeaderLines): void;
  send(status: number, headers: ResponseHeaders, body: Uint8Array | string): void;
  start(status: number, headers: ResponseHeaders): HttpStream;
  /** Status and bytes as sent, for the access log. */
  readonly sent: { readonly status: number; readonly bytes: number };
}

/** Returns, or resolves, after the end of the answer. */
export type HttpHandler = (request: HttpRequest, reply: HttpReply) => Soon<void>;
