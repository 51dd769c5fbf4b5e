import type { SecureContext, Server as TlsServer } from 'node:tls';
import type { EvidenceKind } from '@postern/core/attest';
import type { SpiffeBundle } from '@postern/core/attest/x509';
import type { Result } from '@postern/core/base';
import type { PeerFacts } from './peer.ts';
import type { PeerIdentity } from './peer-identity.ts';

/** A certificate of our own with its key, ready for use. The key itself never leaves the adapter that holds it. */
export interface MeshCredential {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** For connections that we open. */
  readonly context: SecureContext;
  /** Puts the pair into a server, for handshakes that begin from now on. */
  serve(server: TlsServer): void;
}

/** Where our own certificate comes from. */
export interface IdentitySource {
  /** For people: `guest agent /var/run/dstack.sock`. */
  readonly name: string;
  /** A new key with a new certificate; of a source that pushes, the newest that it has. */
  issue(signal: AbortSignal): Promise<Result<MeshCredential, string>>;
  /** Trust that comes with the identity, by trust domain. Absent: none. */
  bundles?(): ReadonlyMap<string, SpiffeBundle>;
  /** A source that renews by itself says when it has something new; it is not asked at half of a life. */
  follow?(changed: () => void, signal: AbortSignal): void;
}

/** Finds what the vendor says about a peer's hardware. Asked after the handshake, before the decision. */
export type FindFacts = (evidence: Uint8Array, kind?: EvidenceKind) => Promise<PeerFacts>;

/** An address at which an app may be. What is there is judged by its certificate, never by its address. */
export interface Candidate {
  readonly host: string;
  readonly port: number;
  /** Name in the handshake (SNI); undefined where the host is an address. */
  readonly serverName: string | undefined;
}

export interface MeshAddress {
  /** 40 hex digits, lower case. */
  readonly appId: string;
  readonly instanceId: string | undefined;
  readonly port: number;
}

/** Where an app may be found, best first. Empty: nowhere that is known. */
export type ResolveTarget = (address: MeshAddress) => Promise<readonly Candidate[]>;

/** What somebody wants to do at one of our services. */
export interface MeshAsk {
  readonly peer: PeerIdentity;
  readonly port: number;
  /** Undefined for raw TCP. */
  readonly method: string | undefined;
  readonly path: string | undefined;
}

export type MeshAnswer =
  | { readonly allowed: true; readonly id: string }
  | { readonly allowed: false; readonly id: string; readonly reason: string };

/** The policy, as the mesh asks it: default deny. One that answers at once lets requests go the short way. */
export type DecideMesh = (ask: MeshAsk) => MeshAnswer | Promise<MeshAnswer>;

/** One decision at one of our edges, for log, metrics and audit. */
export interface MeshRecord {
  readonly edge: 'inbound' | 'outbound' | 'auth';
  readonly atMs: number;
  readonly outcome: 'allowed' | 'denied' | 'refused';
  /** Id of the policy decision, or the codes that speak against the peer. */
  readonly why: string;
  /** The first of those codes, or why the policy denied; undefined where it allowed. */
  readonly code: string | undefined;
  readonly peer: PeerIdentity | undefined;
  readonly port: number | undefined;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly remote: string | undefined;
}

export type RecordMesh = (record: MeshRecord) => void;
