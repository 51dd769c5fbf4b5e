import type { DnsSettings, NetworkNode, NetworkUser, PreAuthKey, UserRole } from './network.ts';

/** By what a machine asks to be admitted. */
export type Admission =
  /** A pre-auth key, by the digest of its text. */
  | { readonly by: 'key'; readonly digest: string }
  /** A person who signed in, or whom an operator named. */
  | { readonly by: 'user'; readonly user: UserClaim }
  /** An operator, as a machine that belongs to its tags. */
  | { readonly by: 'tags' }
  /** The key that it had, which it replaces. */
  | { readonly by: 'old-key'; readonly oldNodeKey: string };

/** A person as an authority names them. */
export interface UserClaim {
  readonly authority: string;
  readonly subject: string;
  readonly login: string;
  readonly displayName: string;
}

/** A machine as an inventory of a lost server has it. */
export interface KnownNode {
  readonly machineKey: string;
  readonly nodeKey: string;
  /** What clients had in place of its id; another one where it was given to somebody else since. */
  readonly number?: number;
  readonly name: string;
  readonly isNamed: boolean;
  /** Login of its owner, who is made where there is none; absent with tags. */
  readonly login?: string;
  readonly tags: readonly string[];
  readonly addresses: readonly string[];
  readonly approved: boolean;
  readonly ephemeral: boolean;
  readonly approvedRoutes: readonly string[];
  readonly keyExpiresAtMs?: number;
  readonly createdAtMs: number;
}

export type NetworkCommand =
  | {
      readonly kind: 'user.create';
      readonly user: UserClaim;
    }
  /** Without a role they are a member again. */
  | { readonly kind: 'user.role'; readonly login: string; readonly role?: UserRole }
  | {
      readonly kind: 'preauthkey.create';
      readonly digest: string;
      readonly hint: string;
      /** Login of the owner, who is made where there is none; absent with tags. */
      readonly login?: string;
      readonly tags: readonly string[];
      readonly reusable: boolean;
      readonly ephemeral: boolean;
      readonly preApproved: boolean;
      readonly awaitsBinding?: boolean;
      readonly lifeMs: number;
      readonly description?: string;
    }
  | { readonly kind: 'preauthkey.revoke'; readonly id: string }
  | {
      readonly kind: 'node.register';
      /** Proven by the connection. */
      readonly machineKey: string;
      readonly nodeKey: string;
      readonly admission: Admission;
      /** What the machine calls itself. */
      readonly hostname: string;
      /** Tags that it asks for and may have; the key's own tags count besides. */
      readonly tags: readonly string[];
      readonly ephemeral: boolean;
      /** Prefixes for its addresses. */
      readonly ipv4Pool: string;
      readonly ipv6Pool: string;
      /** How long its key lives; absent: for ever. Tagged nodes do not expire. */
      readonly keyLifeMs?: number;
      readonly needsApproval: boolean;
    }
  | ({ readonly kind: 'node.adopt' } & KnownNode)
  /** `atMs` in the past or now. Ephemeral nodes go at once where they log out. */
  | { readonly kind: 'node.expire'; readonly id: string; readonly isLogout: boolean }
  | { readonly kind: 'node.approve'; readonly id: string }
  | { readonly kind: 'node.delete'; readonly id: string }
  | {
      readonly kind: 'node.rename';
      readonly id: string;
      readonly name: string;
      /** `chosen` by an operator, who may also let it follow the `host` again; `reported` yields to a chosen name. */
      readonly from: 'chosen' | 'host' | 'reported';
    }
  | { readonly kind: 'node.tag'; readonly id: string; readonly tags: readonly string[] }
  | {
      readonly kind: 'node.routes';
      readonly id: string;
      /** All that it may route from now on. */
      readonly approved: readonly string[];
    }
  | { readonly kind: 'dns.set'; readonly dns: DnsSettings };

/** What changed in the network. A node stands whole in its event: replaying needs no rule that may change. */
export type NetworkStateEvent =
  | { readonly kind: 'user.saved'; readonly user: NetworkUser }
  | { readonly kind: 'preauthkey.saved'; readonly key: PreAuthKey }
  | { readonly kind: 'preauthkeys.dropped'; readonly ids: readonly string[] }
  | { readonly kind: 'node.saved'; readonly node: NetworkNode }
  | { readonly kind: 'node.removed'; readonly id: string }
  | { readonly kind: 'dns.changed'; readonly dns: DnsSettings };
