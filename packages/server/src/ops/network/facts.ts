import type { JsonObject } from '@postern/core/base';
import type { Known, ListeningSocket } from '../check/index.ts';

/** The tailscaled of this machine. */
export interface DaemonView {
  readonly state: string;
  readonly hasDevice: boolean;
  readonly addresses: readonly string[];
  readonly name: string;
  readonly magicDns: boolean;
  readonly takesDns: boolean;
  readonly controlUrl: string;
  readonly health: readonly string[];
  readonly keyExpiresAtMs?: number;
  readonly certDomains: readonly string[];
  readonly authUrl: string | undefined;
}

export interface NetworkFacts {
  readonly nowMs: number;
  /** Undefined: none answers on this machine. */
  readonly daemon: Known<DaemonView | undefined>;
  /** Whether a tailscaled program is installed. */
  readonly program: string | undefined;
  /** What its coordination server answers: undefined: it is there; else what is wrong. */
  readonly control: Known<string | undefined>;
  /** Whether its own name resolves here, to what. */
  readonly ownName: Known<readonly string[]>;
  /** Servers that answered a packet, of those asked. */
  readonly udp: Known<{ readonly asked: number; readonly answered: number }>;
  /** Whether something has the usual port of WireGuard. */
  readonly wireguardPort: Known<boolean>;
  /** What Serve is set to. */
  readonly serve: Known<JsonObject>;
  /** Where this state folder's Postern listens for Serve. */
  readonly serveSocket: { readonly path: string; readonly isThere: boolean };
  /** Ports of Postern that take connections, and from where. */
  readonly listeners: Known<readonly ListeningSocket[]>;
  /** Its own ports: gateway, admin, control. */
  readonly ports: Readonly<Record<'gateway' | 'admin' | 'control', number | undefined>>;
  /** The configuration says who may stand in front (balancer, public edge). */
  readonly hasEdge: boolean;
}
