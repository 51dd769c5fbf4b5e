import type { Result, Secret } from '@postern/core/base';
import type { JoinRequest, LocalNode } from '../../adapters/identity-serve/index.ts';
import type { RegistryClient } from '../../adapters/registry-client/index.ts';

/** Where the model or service of this machine listens, as seen from here. */
export interface Backend {
  readonly host: string;
  readonly port: number;
}

export interface Forward {
  readonly port: number;
  readonly target: string;
}

/** The tailscaled through which this machine is on the network. */
export interface NodeDaemon {
  /** That of the machine, or a child of ours. */
  readonly kind: 'existing' | 'own';
  ask(): Promise<Result<LocalNode, string>>;
  /** What `tailscale status --json` prints. */
  statusText(): Promise<Result<string, string>>;
  logIn(request: JoinRequest): Promise<Result<undefined, string>>;
  logOut(): Promise<Result<undefined, string>>;
  /** Opens the way to the machines that see this one; those that do not answer in time are left. */
  meetPeers(withinMs: number): Promise<void>;
  forward(rule: Forward): Promise<Result<undefined, string>>;
  endForward(rule: Forward): Promise<Result<undefined, string>>;
  /** Ends it, where it is ours. */
  close(): Promise<void>;
  /** Forgets who it was, where it is ours. It must be closed. */
  erase(): Promise<void>;
}

/** Finds the daemon that may be used for a network, or starts one. `kind`: the one that was used before. */
export type OpenDaemon = (wanted: {
  readonly loginServer: string | undefined;
  readonly kind: NodeDaemon['kind'] | undefined;
}) => Promise<Result<NodeDaemon, string>>;

/** What a person asked for. */
export interface JoinSettings {
  /** Its id, where somebody else gave it one; else it makes one. */
  readonly uuid?: string;
  readonly server: string;
  readonly name: string;
  readonly type: string;
  readonly backend: Backend;
  readonly leaseSeconds: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Take the names of the network into the machine's resolver. */
  readonly acceptDns: boolean;
  /** A key for the network that somebody gave; else the registry is asked for one. */
  readonly authKey?: Secret;
  /** What to join, where the registry does not say. */
  readonly loginServer?: string;
  /** Where the machine finds what it is on the network; undefined: nowhere. */
  readonly statusFolder?: string;
}

/** What a node has to say, for people and for programs. */
export type JoinEvent =
  | { readonly kind: 'step'; readonly message: string }
  | { readonly kind: 'problem'; readonly message: string }
  /** Somebody has to sign in there. */
  | { readonly kind: 'login'; readonly message: string; readonly url: string }
  | {
      readonly kind: 'joined';
      readonly message: string;
      readonly uuid: string;
      readonly name: string;
      readonly addresses: readonly string[];
      readonly port: number;
    }
  | { readonly kind: 'left'; readonly message: string };

export interface JoinSurroundings {
  readonly stateDir: string;
  readonly client: RegistryClient;
  readonly openDaemon: OpenDaemon;
  /** Whether somebody accepts connections there; undefined: yes. */
  readonly probe: (host: string, port: number) => Promise<string | undefined>;
  readonly say: (event: JoinEvent) => void;
  /** Told whenever the registry has heard of it. */
  readonly heard: () => Promise<void>;
  readonly newId: () => string;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
  /** Earlier where the signal aborts. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Ends the run in order; the node joins again at the next start. */
  readonly signal: AbortSignal;
}
