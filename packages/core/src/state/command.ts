import type { CredentialScope } from '@postern/core/identity';
import type {
  ConfigGeneration,
  KeyRecord,
  PlanApproval,
  PolicyPlan,
  PolicyRisk,
  PolicyVersion,
  Revocation,
  RevocationTarget,
} from './model.ts';
import type { ContainmentCommand } from './containment-command.ts';
import type { ContainmentEvent } from './containment-state.ts';
import type { NetworkCommand, NetworkStateEvent } from './network-command.ts';
import type { RegistryCommand, RegistryStateEvent } from './registry-command.ts';

/** What somebody wants changed. A closed list: whatever changes the state is one of these. */
export type Command =
  | NetworkCommand
  | RegistryCommand
  | ContainmentCommand
  | {
      readonly kind: 'key.create';
      readonly name: string;
      /** `keyDigest` of the secret, which stays with the caller. */
      readonly digest: string;
      readonly hint: string;
      readonly scope: CredentialScope;
      readonly boundTo: readonly string[];
      readonly expiresAtMs?: number;
      /** What it is for, for people. */
      readonly description?: string;
    }
  | {
      readonly kind: 'key.revoke';
      /** Id, or name of a key that is not revoked. */
      readonly key: string;
      readonly reason?: string;
      /** Also every key that this key made, and theirs: what a thief would have made of it. */
      readonly withChildren: boolean;
    }
  | {
      /** Revokes a key and makes its successor under the same name, with the same rights and end. */
      readonly kind: 'key.rotate';
      /** Id, or name of a key that is not revoked. */
      readonly key: string;
      /** Of the new secret. */
      readonly digest: string;
      readonly hint: string;
      readonly reason?: string;
    }
  | {
      readonly kind: 'revocation.create';
      readonly target: RevocationTarget;
      readonly reason?: string;
    }
  | { readonly kind: 'revocation.lift'; readonly id: string }
  | {
      readonly kind: 'config.apply';
      readonly text: string;
      /** SHA-256 of the text, hex in lower case. */
      readonly digest: string;
      /** The generation that the writer read; another one in force is a conflict. 0: none yet. */
      readonly expected?: number;
      readonly note?: string;
    }
  | {
      readonly kind: 'policy.apply';
      readonly text: string;
      /** `policyHash` of the text. */
      readonly digest: string;
      /** Digest of the policy that the writer read, or `noPolicy`; another one in force is a conflict. */
      readonly base: string;
      readonly risk: PolicyRisk;
      /** The plan that was approved, which a high risk needs. */
      readonly plan?: string;
      /** On trial for so long. Absent: for good at once. */
      readonly confirmWithinMs?: number;
      readonly note?: string;
    }
  | { readonly kind: 'policy.confirm'; readonly digest: string }
  | {
      readonly kind: 'policy.rollback';
      /** Digest of what was applied; where another policy is in force, nothing is rolled back. */
      readonly expected: string;
      /** `unconfirmed`: the trial is over and nobody confirmed. */
      readonly cause: 'asked' | 'unconfirmed';
      readonly reason?: string;
    }
  | {
      readonly kind: 'plan.create';
      readonly text: string;
      readonly digest: string;
      readonly base: string;
      readonly risk: PolicyRisk;
      readonly summary: readonly string[];
      readonly persons: readonly string[];
      readonly lifeMs: number;
    }
  | {
      readonly kind: 'plan.approve';
      readonly id: string;
      /** Logins of whoever approves; empty where it is no person. */
      readonly persons: readonly string[];
    }
  | {
      readonly kind: 'state.restored';
      /** Head of the backup that was restored. */
      readonly index: number;
      readonly headHash: string;
      /** When the backup was made. */
      readonly backupAtMs: number;
    };

export type CommandKind = Command['kind'];

/** What changed: a fact, complete in itself, so that replaying it needs no rule that may change later. */
export type StateEvent =
  | NetworkStateEvent
  | RegistryStateEvent
  | ContainmentEvent
  | { readonly kind: 'key.created'; readonly key: KeyRecord }
  | {
      readonly kind: 'key.revoked';
      readonly id: string;
      readonly atMs: number;
      readonly reason?: string;
    }
  /** Revoked keys, forgotten to make room: from then on they are unknown, which refuses them just as well. */
  | { readonly kind: 'keys.dropped'; readonly ids: readonly string[] }
  | { readonly kind: 'revocation.created'; readonly revocation: Revocation }
  | { readonly kind: 'revocation.lifted'; readonly id: string }
  /** Revocations of tokens that have since expired. */
  | { readonly kind: 'revocations.dropped'; readonly ids: readonly string[] }
  | { readonly kind: 'config.applied'; readonly generation: ConfigGeneration }
  | {
      readonly kind: 'policy.applied';
      readonly version: PolicyVersion;
      /** Until when it is on trial. */
      readonly deadlineMs?: number;
    }
  | { readonly kind: 'policy.confirmed'; readonly digest: string }
  | {
      readonly kind: 'policy.rolled_back';
      /** Digest of what is taken back. */
      readonly digest: string;
      readonly cause: 'asked' | 'unconfirmed';
      readonly reason?: string;
    }
  | { readonly kind: 'plan.created'; readonly plan: PolicyPlan }
  | { readonly kind: 'plan.approved'; readonly id: string; readonly approval: PlanApproval }
  | { readonly kind: 'plans.dropped'; readonly ids: readonly string[] }
  | {
      readonly kind: 'state.restored';
      readonly index: number;
      readonly headHash: string;
      readonly backupAtMs: number;
    };
