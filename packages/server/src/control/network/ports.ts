import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { NetworkNode } from '@postern/core/state';

/** What a machine last said about itself. */
export interface NodeFacts {
  readonly online: boolean;
  readonly os: string;
  readonly clientVersion: string;
  readonly hostname: string;
  readonly advertisedRoutes: readonly string[];
  readonly endpoints: readonly string[];
  /** Number of the relay region that it is at home in; 0: none. */
  readonly relay: number;
  /** Undefined: it is here, or was never seen. */
  readonly lastSeenMs: number | undefined;
}

/** A machine that waits until a person lets it in. */
export interface WaitingMachine {
  readonly id: string;
  readonly hostname: string;
  readonly os: string;
  readonly machineKey: string;
  readonly url: string;
  readonly sinceMs: number;
  readonly expiresAtMs: number;
}

/** How this process itself is on the network. */
export interface GatewayFacts {
  /** `off`: there is no daemon that may be used. `down`: there was one that answered. */
  readonly state: 'off' | 'joining' | 'up' | 'down';
  /** `kernel`: it listens on its own addresses. `userspace`: Serve hands requests to a socket. */
  readonly mode?: 'kernel' | 'userspace';
  readonly name?: string;
  readonly addresses: readonly string[];
  readonly problem?: string;
}

/** As whom a waiting machine is let in. */
export type AdmitAs = { readonly login: string } | { readonly tags: readonly string[] };

/** The running engine, as operations see it. */
export interface NetworkDesk {
  readonly url: string;
  readonly publicKey: string;
  readonly baseDomain: string;
  readonly ipv4Pool: string;
  readonly ipv6Pool: string;
  /** Machines wait for an operator, unless their key was approved before. */
  readonly needsApproval: boolean;
  /** How long the key of a person's machine lives; 0: for ever. */
  readonly keyDays: number;
  /** `host:port` of our relay, where it is on. */
  readonly relay: string | undefined;
  /** Undefined where it was not asked to be on the network. */
  gateway(): GatewayFacts | undefined;
  /** Machines are served here: false on a gateway that follows. */
  serves(): boolean;
  /** Machines with an open map. */
  streams(): number;
  facts(id: string): NodeFacts | undefined;
  waiting(): readonly WaitingMachine[];
  admit(id: string, as: AdmitAs, principal: string): Promise<Result<NetworkNode, Refusal>>;
}
