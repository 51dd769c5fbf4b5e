import type { Principal } from '@postern/core/identity';
import type { Inventory } from '@postern/core/policy';
import type { KnownNames } from '@postern/core/policy/report';
import type { KeyRecord } from '@postern/core/state';

/** What change control has to know of the rest of the process. */
export interface PolicyPorts {
  /** Who and what is on the network; empty without one. */
  readonly inventory: () => Inventory;
  /** Limits and budgets of the configuration. */
  readonly names: () => KnownNames;
  /** What a key is for policy. */
  readonly principalOfKey: (key: KeyRecord) => Principal;
  /** Loads what decides requests by a policy, so that a policy counts from the moment of its commit. */
  readonly prepare: () => Promise<void>;
  /** Who decides while there is no policy, for people. */
  readonly otherAuthority: () => string;
  /** The file on disk, which nobody has applied yet. */
  readonly candidate: () => Promise<Candidate>;
  /** Told after an approval: where files are applied by themselves, one of them waited for it. */
  readonly approved: () => void;
}

export interface Candidate {
  readonly file: string;
  /** Undefined where there is no such file, or where it cannot be read. */
  readonly text: string | undefined;
  readonly problem: string | undefined;
  readonly autoApply: boolean;
}
