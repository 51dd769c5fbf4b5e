import type { Result, Secret } from '@postern/core/base';
import type { Control } from '../../control/index.ts';
import type { PolicyTools } from '../../control/policy/index.ts';
import type { InferencePlace, Known, ListeningSocket, OwnListener } from '../check/index.ts';

/** Starts the process of a model server anew. */
export interface Restarter {
  /** For people: `systemd vllm.service`. */
  readonly place: string;
  /** A text that changes with every start of the process; err: a sentence. */
  startMark(signal: AbortSignal): Promise<Result<string, string>>;
  restart(signal: AbortSignal): Promise<Result<void, string>>;
}

/** Gives a model server a new key. */
export interface Rotator {
  readonly place: string;
  rotate(next: Secret, signal: AbortSignal): Promise<Result<void, string>>;
}

/** One model server, as far as an incident acts on it. */
export interface OperatedUpstream {
  readonly provider: string;
  readonly restarter: Restarter | undefined;
  readonly rotator: Rotator | undefined;
  /** What this process sends now; undefined where it sends none. */
  credential(): Promise<Result<Secret | undefined, string>>;
  /** Sends this one from now on. */
  keep(next: Secret): Promise<Result<void, string>>;
  /** Status of a list of models with this credential; err: there is no answer. */
  status(credential: Secret | undefined): Promise<Known<number>>;
}

/** A record of the log, as far as an audit of access reads it. */
export interface AccessRecord {
  readonly index: number;
  readonly at: string;
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The doors of this gateway, as an incident shuts and tries them. */
export interface Doors {
  listeners(): readonly OwnListener[];
  sockets(): Promise<Known<readonly ListeningSocket[]>>;
  /** Whether something takes a connection there. */
  answers(host: string, port: number): Promise<boolean>;
  /** Addresses of this machine, apart from loopback and the private network. */
  outsideAddresses(): readonly string[];
  /** Status that a caller with this credential gets from this gateway; err: no answer. */
  knock(credential: Secret): Promise<Known<number>>;
  /** The same from other gateways, by their URLs. */
  knockAt(url: string, credential: Secret): Promise<Known<number>>;
  /** Whether a connection from this address would be closed at accept. */
  turnsAway(address: string): boolean;
  /** Connections from an address within this prefix that are open now. */
  openFrom(prefix: string): number;
  funnels(): Promise<Known<readonly string[]>>;
  funnelOff(): Promise<Known<readonly string[]>>;
}

export interface IncidentPorts {
  readonly control: Control;
  readonly policy: PolicyTools;
  readonly doors: Doors;
  /** Names of this gateway in its policy. */
  readonly gatewayNames: () => readonly string[];
  readonly places: () => Promise<readonly InferencePlace[]>;
  readonly upstream: (provider: string) => OperatedUpstream | undefined;
  /** Providers that have a way to get a new key. */
  readonly rotatable: () => readonly string[];
  readonly issuers: () => readonly string[];
  /** The log, page by page; `next` is absent at its end. */
  readonly records: (
    after: number,
  ) => Promise<Result<{ readonly items: readonly AccessRecord[]; readonly next?: number }, string>>;
  /** What is wrong with journal and log; undefined where they are whole. */
  readonly verify: () => Promise<Known<string | undefined>>;
  /** Keeps new secrets for their owners in a file that only this user reads; gives its path. */
  readonly hand: (
    incident: string,
    secrets: readonly { readonly name: string; readonly secret: Secret }[],
  ) => Promise<string>;
  readonly sleep: (ms: number) => Promise<void>;
}
