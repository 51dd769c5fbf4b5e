import type { JsonObject, Result } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { Snapshot } from '@postern/core/state';

/** What was read, or a sentence why it could not be. */
export type Known<T> = Result<T, string>;

/** A socket that listens, as the kernel says. */
export interface ListeningSocket {
  readonly host: string;
  readonly port: number;
}

/** A listener of this process, as it was opened. */
export interface OwnListener {
  readonly kind: string;
  /** Absent for unix sockets. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly address: string;
}

/** Where a provider runs. */
export interface InferencePlace {
  readonly provider: string;
  readonly host: string;
  readonly port: number;
  /** A vendor's API for everybody, such as api.openai.com: nobody's own endpoint. */
  readonly isVendor: boolean;
  /** What the name resolves to; itself where it is an address. */
  readonly addresses: Known<readonly string[]>;
  /** The configuration has an address where a name should be. */
  readonly isLiteral: boolean;
}

/** Who reaches an inference endpoint over the network, by the policy in force. */
export interface InferenceReach {
  readonly provider: string;
  readonly target: string;
  readonly rows: readonly { readonly sources: readonly string[]; readonly network: string }[];
}

export interface FileFacts {
  readonly file: string;
  readonly mode: number;
  readonly isFolder: boolean;
}

/** What a look at the packet filter of this machine shows. */
export interface FirewallFacts {
  /** Which program told: nft, iptables. */
  readonly by: string;
  /** What happens to an incoming packet that no rule takes. */
  readonly input: 'drop' | 'accept';
}

/** A machine that is operated by SSH, as the one who asks sees it. */
export interface SshHost {
  readonly host: string;
  /** Its host key is pinned where the one who asks keeps such keys. */
  readonly pinned: boolean;
  /** A key alone gets in. */
  readonly logsIn: boolean;
  /** Ways to sign in that its server offers; empty: it did not answer. */
  readonly offers: readonly string[];
}

/** The tailscaled of this machine. */
export interface DaemonFacts {
  readonly state: string;
  readonly hasDevice: boolean;
  readonly keyExpiresAtMs: number | undefined;
  /** `host:port` that Funnel gives to the internet. */
  readonly funnels: readonly string[];
}

/** The embedded engine, or another one that this process uses. */
export interface EngineFacts {
  readonly url: string;
}

/** How an own listener answered a request that claims to be somebody. */
export interface ForgedProbe {
  readonly address: string;
  readonly status: number;
  /** The claimed name stood in the answer. */
  readonly believed: boolean;
}

export interface EdgeProbe {
  readonly address: string;
  /** Status of a plain HTTP request; undefined: it was not answered as HTTP. */
  readonly plainStatus: number | undefined;
}

export interface Certificate {
  readonly listener: string;
  readonly expiresAtMs: number;
}

export interface StoreLink {
  readonly name: string;
  /** TLS, or never on a network. */
  readonly isProtected: boolean;
}

/**
 * Everything that the checklist judges: read from the running instance and its machine, never from what somebody wrote
 * down about them. Plain data, so that each line is a function of it.
 */
export interface CheckFacts {
  readonly nowMs: number;
  readonly config: Config;
  /** Undefined in zero-config. */
  readonly configText: string | undefined;
  readonly snapshot: Pick<Snapshot, 'keysById' | 'network' | 'containment'>;
  readonly listeners: readonly OwnListener[];
  /** Sockets on which this very process listens. */
  readonly sockets: Known<readonly ListeningSocket[]>;
  readonly firewall: Known<FirewallFacts>;
  readonly places: readonly InferencePlace[];
  readonly reach: Known<readonly InferenceReach[]>;
  /** What the gateway is in the policy: its tags and addresses. */
  readonly gatewayNames: readonly string[];
  /** The tailscaled of this machine; undefined where there is none. */
  readonly daemon: Known<DaemonFacts | undefined>;
  readonly engine: EngineFacts | undefined;
  readonly edge: Known<readonly EdgeProbe[]>;
  readonly forged: Known<readonly ForgedProbe[]>;
  /** Whether the way out refused an address that nobody allowed. */
  readonly egressRefused: Known<boolean>;
  readonly certificates: readonly Certificate[];
  readonly files: Known<readonly FileFacts[]>;
  readonly authority: 'policy' | 'built-in' | 'none';
  /** The policy that decides, as plain data. */
  readonly policy: JsonObject | undefined;
  /** The policy file says something else than what is in force. */
  readonly drift: Known<string | undefined>;
  readonly node: string;
  readonly uid: number | undefined;
  readonly startedAtMs: number;
  readonly backupAtMs: number | undefined;
  readonly collateralAtMs: readonly { readonly vendor: string; readonly atMs: number }[];
  readonly clockIsSet: Known<boolean>;
  readonly space: Known<{ readonly freeBytes: number; readonly totalBytes: number }>;
  /** What the hash chains of journal and log say; undefined where they are whole. */
  readonly records: Known<string | undefined>;
  readonly stores: Known<readonly StoreLink[]>;
  /** Undefined where nobody named a machine (`--ssh`). */
  readonly ssh: readonly SshHost[] | undefined;
}
