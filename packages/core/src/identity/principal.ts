import type { JsonValue } from '../base/index.ts';

/**
 * Who vouches for a principal. Identities of different authorities never merge: the same text under two
 * authorities is two principals.
 */
export const authorities = ['tailnet', 'key', 'jwt', 'app', 'local'] as const;
export type Authority = (typeof authorities)[number];

/** Who is asking: one type for every way of being known. */
export interface Principal {
  readonly authority: Authority;
  /** Stable within its authority: node or user id, key id, `issuer#subject`, app id, `uid:1000`. */
  readonly id: string;
  readonly kind: 'user' | 'node' | 'app' | 'key' | 'operator';
  /** For people: a login name, a key name. Never used for a decision. */
  readonly display: string;
  /**
   * Policy selectors that this principal satisfies (`alice@example.com`, `group:dev`, `tag:ci`). Network
   * principals have their own; keys, tokens and apps only what the configuration maps them to.
   */
  readonly selectors: readonly string[];
  /** Addresses of the node on the mesh, where known. */
  readonly addresses?: readonly string[];
}

/** The subject decides what is allowed; `via` is the network principal that carried it, for the record. */
export interface Caller {
  readonly subject: Principal;
  readonly via?: Principal;
  /** What a credential itself narrows: a key is never wider than this. */
  readonly scope?: CredentialScope;
  /**
   * Application capabilities that the network's own engine grants this caller towards this node, by name. They
   * count only where the engine, and not the compiled policy, is the authority.
   */
  readonly networkCapabilities?: Readonly<Record<string, readonly JsonValue[]>>;
  /** When the proof ends, epoch ms: a stream does not outlive a token's revocation, but may outlive this. */
  readonly expiresAtMs?: number;
}

/** What a key may do at most. An absent list means that the key does not narrow it. */
export interface CredentialScope {
  readonly models?: readonly string[];
  readonly dialects?: readonly string[];
  /** Types of nodes that this key may register. Unlike the others, an absent list means none. */
  readonly join?: readonly string[];
  /**
   * An OAuth client of the network API: its scopes (`devices:core:read`), and the tags that its keys may carry. Its
   * secret is exchanged for tokens and is nothing else. Absent: no such client.
   */
  readonly network?: readonly string[];
  /** May this key use the admin API at all. */
  readonly admin?: boolean;
}

/** The one key under which limits, budgets, caches and records file a principal. */
export function principalKey(principal: Principal): string {
  return `${principal.authority}:${principal.id}`;
}

/** Whether a text can be such a key: a mere name is none, nor is the `user:` of an account. */
export function isPrincipalKey(text: string): boolean {
  return authorities.some((name) => text.startsWith(`${name}:`) && text.length > name.length + 1);
}
