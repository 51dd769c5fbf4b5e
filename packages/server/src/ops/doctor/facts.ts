import type { Known } from '../check/index.ts';

/** A file or folder that a start depends on, and what is the matter with it; undefined: nothing is. */
export interface PlaceFacts {
  readonly path: string;
  readonly state: 'there' | 'missing' | 'open-to-others' | 'unreadable';
  readonly detail: string;
}

/** What a program of this machine answered when it was asked whether it is well. */
export interface ContainerHealth {
  /** Where it was asked. */
  readonly url: string;
  /** Undefined: nothing answers there. */
  readonly status: number | undefined;
  /** The container was told to tell. */
  readonly isEnabled: boolean;
}

/** The socket of the guest agent that the mesh gets its certificates from. */
export interface AgentSocket {
  readonly path: string;
  readonly state: 'there' | 'missing' | 'no-socket' | 'denied';
}

/** A certificate of a peer, or our own, as somebody gave it to be looked at. */
export interface PeerCertificate {
  readonly file: string;
  /** It has evidence of what its machine runs. */
  readonly hasEvidence: boolean;
  /** An authority of the roots that count issued it; undefined: no roots are configured. */
  readonly isKnownIssuer: boolean | undefined;
  readonly issuer: string;
  readonly expiresAtMs: number;
}

export interface ProviderFacts {
  readonly id: string;
  readonly place: string;
  /** Models that it lists, or why it does not. */
  readonly models: Known<number>;
}

/** What doctor looks at, before anything is started. Plain data: each finding is a function of it. */
export interface DoctorFacts {
  readonly nowMs: number;
  /** `v24.1.0`. */
  readonly node: string;
  readonly version: string;
  /** Version of the Postern that runs with this state folder; undefined: none does. */
  readonly running: Known<string | undefined>;
  readonly stateFolder: PlaceFacts;
  /** The configuration file; undefined: there is none. Its error where it is wrong. */
  readonly configuration: Known<string> | undefined;
  readonly policy: Known<string> & { readonly isMissing?: boolean };
  /** Why the person at this machine needs a key; undefined: they do not. */
  readonly operator: string | undefined;
  readonly providers: readonly ProviderFacts[];
  /** Why providers could not even be set up. */
  readonly providerProblems: readonly string[];
  /** Certificates that listeners show. */
  readonly certificates: readonly { readonly file: string; readonly expiresAtMs: Known<number> }[];
  readonly clockIsSet: Known<boolean>;
  /** How far this clock is from that of a server that was asked, ms. */
  readonly clockOffsetMs: Known<number>;
  readonly space: Known<{ readonly freeBytes: number; readonly totalBytes: number }>;
  /** A pre-auth key that the environment has: what it looks like, and whether the network took it. */
  readonly authKey:
    | undefined
    | {
        readonly variable: string;
        readonly shape: 'tailscale' | 'headscale' | 'unknown';
        /** State of the tailscaled that got it; undefined: there is none. */
        readonly daemonState: string | undefined;
        readonly complaint: string | undefined;
        /** Tags that it was told to advertise. */
        readonly tags: readonly string[];
      };
  /** Undefined: this is no container of Tailscale’s. */
  readonly containerHealth: ContainerHealth | undefined;
  /** Undefined: no mesh identity comes from an agent. */
  readonly agentSocket: AgentSocket | undefined;
  /** A certificate that somebody asked about. */
  readonly peer: Known<PeerCertificate> | undefined;
  /** App ids that somebody wrote down. */
  readonly appIds: readonly { readonly at: string; readonly text: string }[];
}
