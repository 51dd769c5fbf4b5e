import type { Result, Secret, Soon } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { CallSignal } from './call-signal.ts';

/** Which addresses an outbound call may reach beside public ones. */
export interface EgressPermission {
  /** The operator wrote this very address, or detection found it on loopback: internal addresses are then allowed for it. */
  readonly internal: boolean;
}

export interface OutboundTimeouts {
  readonly connectMs: number;
  /** From the end of the request to the first byte of the answer. */
  readonly firstByteMs: number;
  /** Between two pieces of the answer. */
  readonly idleMs: number;
  readonly totalMs: number;
}

/** A proxy on the way, at an address that the operator wrote. It also resolves the name of the upstream. */
export interface OutboundProxy {
  readonly kind: 'socks5' | 'http';
  /** Name or address without brackets. */
  readonly hostname: string;
  readonly port: number;
  readonly credentials?: { readonly user: string; readonly password: Secret };
}

export interface OutboundRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** `http:` or `https:` only; no user info. */
  readonly url: URL;
  /** Complete: nothing is added but host, content-length and connection. Frozen ones are looked at once. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string | undefined;
  readonly signal: CallSignal;
  readonly timeouts: OutboundTimeouts;
  readonly permission: EgressPermission;
  /** PEM of extra authorities that this provider's certificate may chain to. */
  readonly caPem?: string | undefined;
  /** Absent: straight there. */
  readonly via?: OutboundProxy | undefined;
}

/** Takes a body as it arrives. */
export interface BodySink {
  /** Called for each piece, in order. Must not throw. */
  piece(bytes: Uint8Array): void;
  /** No more comes; `failure()` then says whether the body was whole. Called once. */
  end(): void;
}

/** Holds a pushed body back while its reader has no room. */
export interface BodyFlow {
  pause(): void;
  resume(): void;
}

export interface OutboundAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body as it arrives, with back-pressure; throws nothing: a broken body ends with a refusal of `failure()`. */
  readonly body: AsyncIterable<Uint8Array>;
  /** After the iteration ended: undefined when the body was complete. */
  failure(): Refusal | undefined;
  /** All of the body is here already, so that nothing which happens now cuts it short. Absent where that is not known. */
  readonly isWhole?: boolean;
  /** The whole body, at most `bytesMax`; at once where it is there already. */
  readAll(bytesMax: number): Soon<Result<Uint8Array, Refusal>>;
  /**
   * The body pushed, without a promise for each piece: instead of `body` and `readAll`. What arrived already comes before
   * this returns. Absent where a way out cannot.
   */
  readonly flow?: (sink: BodySink) => BodyFlow;
  /** Closes the upstream socket now. */
  cancel(): void;
}

/** The one way out. Redirects are answers, certificates are verified, the address is checked when the socket connects. */
export type Egress = (request: OutboundRequest) => Promise<Result<OutboundAnswer, Refusal>>;
