/** What a plan is made from: the two files, who proposes, and what must never be lost. */
import type { Inventory } from '../compile/inventory.ts';

/** Who proposes a change. */
export interface ChangeActor {
  readonly name: string;
  /** An agent may never widen access by itself, for whomever. */
  readonly kind: 'human' | 'agent';
  /** Selectors of its machines and of itself: `alice@example.com`, `tag:agent`. */
  readonly selectors: readonly string[];
}

/** A path without which the people or programs that could mend a mistake are locked out. */
export interface ProtectedPath {
  readonly name: string;
  /** Selectors or names of machines, each a principal of its own. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** As in the `ip` field of a grant. */
  readonly ports: readonly string[];
  /** How many principals have to keep it; all where it is left out. */
  readonly keepAtLeast?: number;
}

/** A capability that somebody has to keep. */
export interface ProtectedCapability {
  /** `postern.dev/cap/admin`. */
  readonly capability: string;
  readonly holders: readonly string[];
  readonly on: readonly string[];
  readonly keepAtLeast?: number;
}

/** Somebody has to get onto these machines over SSH without a check that runs through the tailnet. */
export interface ProtectedLogin {
  readonly name: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** Local users, of which one is enough. */
  readonly users: readonly string[];
}

/** Targets to which new access is never a matter of course. */
export interface CrownJewel {
  readonly name: string;
  readonly to: readonly string[];
}

export interface Protection {
  readonly paths: readonly ProtectedPath[];
  readonly capabilities: readonly ProtectedCapability[];
  readonly logins: readonly ProtectedLogin[];
  readonly crownJewels: readonly CrownJewel[];
}

export const noProtection: Protection = {
  paths: [],
  capabilities: [],
  logins: [],
  crownJewels: [],
};

export interface ChangeRequest {
  /** The file in force, and the one that is proposed. */
  readonly current: Uint8Array | string;
  readonly candidate: Uint8Array | string;
  /** Hash of the file on which the author based the change, as an earlier plan gave it. */
  readonly baseHash: string;
  readonly inventory: Inventory;
  readonly actor: ChangeActor;
  readonly protection: Protection;
  /** Lower-case hex SHA-256. */
  readonly sha256Hex: (bytes: Uint8Array) => string;
}
