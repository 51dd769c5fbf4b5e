import type { Result, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Command, Snapshot, StateEvent } from '@postern/core/state';
import type { DerpMap } from '@postern/core/policy';
import type { DerpMapMessage } from './derp/index.ts';

/** The journal as this plane sees it: commands in, snapshots out. Every command is durable when it is answered. */
export interface NetworkJournal {
  snapshot(): Snapshot;
  /** Calls back at once with the snapshot of now, and after every change. */
  subscribe(listener: (snapshot: Snapshot) => void, signal: AbortSignal): void;
  /** `actor` is who caused it: `machine:mkey:…`, or the process. */
  execute(
    command: Command,
    actor: string,
  ): Promise<Result<{ readonly events: readonly StateEvent[] }, Refusal>>;
}

/** What an operator decided about the network. Texts are canonical; durations in milliseconds. */
export interface NetworkSettings {
  /** Without a slash at its end, such as `https://vpn.example.com`. */
  readonly url: string;
  /** Names of machines end in it, such as `mesh.internal`. */
  readonly baseDomain: string;
  readonly ipv4Pool: string;
  readonly ipv6Pool: string;
  /** Keys of people's machines; undefined: they live for ever. */
  readonly keyLifeMs: number | undefined;
  readonly needsApproval: boolean;
  /** How long an ephemeral node may be away. */
  readonly ephemeralAwayMsMax: number;
}

export interface CoordinationLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Where reports of machines are kept between processes. */
export interface ReportStore {
  /** Saved reports by node id: at first all, then those that came since. */
  load(): Promise<Result<ReadonlyMap<string, unknown>, string>>;
  /** `changed` holds what changed, undefined for machines that are gone; `all` what is known now. */
  save(
    changed: ReadonlyMap<string, object | undefined>,
    all: ReadonlyMap<string, object>,
  ): Promise<Result<void, string>>;
}

/** Several servers of one network, of which one serves the machines at a time. */
export interface NetworkShare {
  /** The public key by which machines know them all: the first that anybody claimed; undefined: none yet. */
  claimKey(publicKey?: string): Promise<Result<string | undefined, string>>;
  readonly reports: ReportStore;
}

/** Puts a TXT record into public DNS, for a certificate of one machine. Resolves when it can be seen, or says why not. */
export type PutTxtRecord = (record: {
  /** Without a dot at its end. */
  readonly name: string;
  readonly value: string;
}) => Promise<Result<void, string>>;

export interface CoordinationOptions {
  readonly journal: NetworkJournal;
  readonly settings: NetworkSettings;
  /** A folder of its own in the state folder: the control key, and what machines last reported. */
  readonly folder: string;
  readonly nowMs: () => number;
  readonly sha256Hex: (text: string) => string;
  readonly log: CoordinationLog;
  /** The relays of the network as a client of a version is told of them: our own, with what the policy says. */
  readonly derpMap: (fromPolicy: DerpMap | undefined, version: number) => DerpMapMessage;
  /** `privkey:…` or 64 hex digits, where the operator keeps the control key elsewhere. */
  readonly controlKey?: Secret | undefined;
  /** Absent: machines get no certificates. */
  readonly putTxtRecord?: PutTxtRecord | undefined;
  /** Other servers of this network; then nothing is served before `lead`. */
  readonly share?: NetworkShare | undefined;
  /** Sign-in of people, where there is an issuer. */
  readonly signIn?: SignIn;
}

/** A person who proved who they are to an issuer. */
export interface SignedIn {
  readonly authority: string;
  readonly subject: string;
  readonly login: string;
  readonly displayName: string;
}

/** The OIDC side, behind a port so that its library is loaded only where there is an issuer. */
export interface SignIn {
  /** Where to send the browser for this request of a machine. */
  begin(
    requestId: string,
  ): Promise<Result<{ readonly location: string; readonly browser: string }, string>>;
  /** The answer of the issuer, by the full callback URL: whose it is and for which request. */
  finish(
    url: URL,
    /** What `begin` gave this browser to keep. */
    browser: string,
  ): Promise<Result<{ readonly requestId: string; readonly who: SignedIn }, string>>;
}
