import type { OnReadOpts, Socket } from 'node:net';
import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { CallSignal, OutboundProxy } from '../../http/index.ts';

/** Where a connection goes, and what it may find there. Only calls that agree in all of it share a connection. */
export interface SocketPlace {
  readonly protocol: 'http:' | 'https:';
  /** Name or address without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** Internal addresses are allowed. */
  readonly internal: boolean;
  readonly caPem: string | undefined;
  /** The proxy on the way; undefined: straight there. */
  readonly via: OutboundProxy | undefined;
}

/** Connects to an address that it resolved and judged in this very call; certificates are verified. */
export interface SocketDialer {
  /** `onread`: where what arrives may be read to, in place of `data` events. A dialer that cannot do that leaves it. */
  dial(signal: CallSignal, onread?: OnReadOpts): Promise<Result<Socket, Refusal>>;
}
