import type { CredentialScope } from '@postern/core/identity';
import type { ContainmentState } from './containment-state.ts';
import type { NetworkState } from './network.ts';
import type { RegistryState } from './registry-state.ts';
import type { Table } from './table.ts';

/**
 * By which door a change came in: the control socket, the admin listener, the registry, an agent's tools, or the process
 * itself. By `mcp` a program decides what is sent, whoever it runs for: it approves nothing and steps up to nothing.
 */
export type Channel = 'control-socket' | 'admin' | 'control' | 'mcp' | 'system';

/** Who made a change, as the journal keeps it. */
export interface Actor {
  /** `principalKey` of the subject, such as `local:uid:1000` or `key:key_01j…`. */
  readonly principal: string;
  /** `principalKey` of the network principal that carried the request, where there is one. */
  readonly via?: string;
  readonly channel: Channel;
}

/** Who asks for a command, with what narrows them. Scope, binding and end of a key are read from the state. */
export interface Author {
  readonly actor: Actor;
  readonly scope?: CredentialScope;
}

/** A key as Postern keeps it. The secret is in nobody's hands but its owner's: only its digest is here. */
export interface KeyRecord {
  /** `key_…`: stable, never used again. */
  readonly id: string;
  /** Unique among the keys that are not revoked. Policy and configuration may name a key by it. */
  readonly name: string;
  /** SHA-256 of the whole secret (`pst_…`), hex in lower case. */
  readonly digest: string;
  /** The last four characters of the secret, by which its owner recognises it. */
  readonly hint: string;
  readonly scope: CredentialScope;
  /** Principal keys or policy selectors of which the network principal must have one; empty: not bound. */
  readonly boundTo: readonly string[];
  /** `principalKey` of whoever made it. */
  readonly createdBy: string;
  readonly createdAtMs: number;
  /** Absent: it does not expire. Zero is a time like any other, not "never". */
  readonly expiresAtMs?: number;
  readonly revokedAtMs?: number;
  readonly revokedReason?: string;
  /** What it is for, for people. */
  readonly description?: string;
}

/** What of a peer of the mesh is revoked. */
export type RevokedPeerKind = 'app' | 'instance' | 'device' | 'serial';

/** What is revoked: about tokens of an issuer, or about peers of the mesh. */
export type RevocationTarget =
  /** One token by its `jti`. `expiresAtMs`: the token's own end, after which the entry may be forgotten. */
  | {
      readonly by: 'token';
      readonly issuer: string;
      readonly tokenId: string;
      readonly expiresAtMs?: number;
    }
  /** Tokens of one subject: all of them, or those issued before a time. */
  | {
      readonly by: 'subject';
      readonly issuer: string;
      readonly subject: string;
      readonly issuedBeforeMs?: number;
    }
  /** The issuer's epoch: every token issued before it. It only ever rises. */
  | { readonly by: 'issuer'; readonly issuer: string; readonly issuedBeforeMs: number }
  /** Peers of the mesh, whatever their certificates say. `id`: hex in lower case, a serial number without leading zeros. */
  | { readonly by: 'peer'; readonly kind: RevokedPeerKind; readonly id: string };

export interface Revocation {
  /** `rev_…`. */
  readonly id: string;
  readonly target: RevocationTarget;
  readonly atMs: number;
  /** `principalKey` of whoever revoked. */
  readonly createdBy: string;
  readonly reason?: string;
}

/** One configuration text that was applied. Numbers start at 1 and never repeat. */
export interface ConfigGeneration {
  readonly number: number;
  /** SHA-256 of the text, hex in lower case. */
  readonly digest: string;
  readonly text: string;
  readonly appliedBy: string;
  readonly appliedAtMs: number;
  readonly note?: string;
}

/** How much a change of the policy asks of whoever applies it: `high` needs a second person. */
export type PolicyRisk = 'low' | 'medium' | 'high';

/** One policy file that was applied. Numbers start at 1 and never repeat, not even after a rollback. */
export interface PolicyVersion {
  readonly number: number;
  /** `policyHash`: SHA-256 of the canonical layout, hex in lower case. What `If-Match` compares. */
  readonly digest: string;
  readonly text: string;
  readonly risk: PolicyRisk;
  readonly appliedBy: string;
  readonly appliedAtMs: number;
  /** The version that a rollback of this one brings back; 0: no policy at all. */
  readonly previous: number;
  /** The plan that was approved for it. */
  readonly plan?: string;
  readonly note?: string;
}

/** The version in force was applied on trial: unless it is confirmed by then, the one before comes back. */
export interface PendingPolicy {
  readonly digest: string;
  readonly deadlineMs: number;
}

/** A policy file that somebody proposes, against the one that was in force then. */
export interface PolicyPlan {
  /** `plan_…`. */
  readonly id: string;
  readonly text: string;
  readonly digest: string;
  /** Digest of the policy that it would replace; `noPolicy` where there is none. */
  readonly base: string;
  readonly risk: PolicyRisk;
  /** Why, a sentence each, the gravest first. */
  readonly summary: readonly string[];
  readonly createdBy: string;
  /** Logins of whoever made it, by which one person is known under several authorities. */
  readonly persons: readonly string[];
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly approval?: PlanApproval;
}

export interface PlanApproval {
  readonly by: string;
  readonly channel: Channel;
  readonly atMs: number;
}

export interface PolicyState {
  /** The newest first; the first is in force. Empty: there is no policy, and the configuration decides alone. */
  readonly versions: readonly PolicyVersion[];
  /** The last number that was given out. */
  readonly lastNumber: number;
  readonly pending?: PendingPolicy;
  /** The oldest first. */
  readonly plans: readonly PolicyPlan[];
}

/** Everything that the journal adds up to. Immutable. */
export interface State {
  readonly keysById: Table<KeyRecord>;
  readonly keysByDigest: Table<KeyRecord>;
  /** Names of keys that are not revoked. */
  readonly keysByName: Table<KeyRecord>;
  readonly revocationsById: Table<Revocation>;
  readonly revocationsByTarget: Table<Revocation>;
  /** The newest first; the first is in force. */
  readonly generations: readonly ConfigGeneration[];
  readonly policy: PolicyState;
  /** Machines and people of the embedded engine; empty without it. */
  readonly network: NetworkState;
  /** Instances of services; empty until one registers. */
  readonly registry: RegistryState;
  /** Who is kept out and what is shut off; empty outside incidents. */
  readonly containment: ContainmentState;
}

/** A state, and the place in the journal that it stands for. */
export interface Snapshot extends State {
  /** Index of the last record; 0 before the first. */
  readonly index: number;
  /** Hash of the last record; 64 zeros before the first. */
  readonly headHash: string;
  /** Time of the last record, epoch ms; 0 before the first. */
  readonly atMs: number;
}
