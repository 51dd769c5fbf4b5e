/** Who and what is in the tailnet: the part of the state that a policy is compiled against. */
import type { Addr, Prefix } from '../../base/netip/index.ts';
import type { PostureValue } from '../file/model.ts';
import type { RoleName } from '../file/selector.ts';

export interface InventoryUser {
  readonly id: string;
  /** `alice@example.com`, `alice@github`. Compared without regard to case. */
  readonly login: string;
  readonly roles: readonly RoleName[];
  /** A user of another tailnet, with machines shared into this one. */
  readonly isShared?: boolean;
}

export interface InventoryNode {
  readonly id: string;
  readonly hostname: string;
  readonly addresses: readonly Addr[];
  /** The owner. A node with tags has none: who made it does not matter. */
  readonly userId: string | undefined;
  readonly tags: readonly string[];
  readonly advertisedRoutes: readonly Prefix[];
  /** Of the advertised ones; what is approved and not advertised has no effect. */
  readonly approvedRoutes: readonly Prefix[];
  readonly postureAttributes: ReadonlyMap<string, PostureValue>;
}

export interface Inventory {
  readonly users: readonly InventoryUser[];
  readonly nodes: readonly InventoryNode[];
  /** Login domains of the tailnet itself; without them, the domains of its owners, else of all its members. */
  readonly domains?: readonly string[];
  /** Groups that an identity provider keeps: name to logins. Groups of the file with the same name add to it. */
  readonly groups?: ReadonlyMap<string, readonly string[]>;
  /** Virtual addresses of services: `svc:web` to its addresses. */
  readonly services?: ReadonlyMap<string, readonly Addr[]>;
}

/** A change of one node: added or replaced, or gone. */
export type NodeChange =
  | { readonly kind: 'put'; readonly node: InventoryNode }
  | { readonly kind: 'remove'; readonly id: string };
