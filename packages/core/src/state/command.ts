import type { CredentialScope } from '@postern/core/identity';
import type { ConfigGeneration, KeyRecord, Revocation, RevocationTarget } from './model.ts';

/** What somebody wants changed. A closed list: whatever changes the state is one of these. */
export type Command =
  | {
      readonly kind: 'key.create';
      readonly name: string;
      /** `keyDigest` of the secret, which stays with the caller. */
      readonly digest: string;
      readonly hint: string;
      readonly scope: CredentialScope;
      readonly boundTo: readonly string[];
      readonly expiresAtMs?: number;
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
      readonly kind: 'state.restored';
      readonly index: number;
      readonly headHash: string;
      readonly backupAtMs: number;
    };
