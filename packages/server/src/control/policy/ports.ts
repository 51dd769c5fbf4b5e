import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Principal } from '@postern/core/identity';
import type { Inventory } from '@postern/core/policy';
import type { Protection } from '@postern/core/policy/change';
import type { KnownNames } from '@postern/core/policy/report';
import type { KeyRecord, PolicyState } from '@postern/core/state';
import { currentPolicy } from '@postern/core/state';

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
  /** Decides while no policy is in force; undefined where nothing does, and then nobody may call anything. */
  readonly builtIn: () => BuiltInPolicy | undefined;
  /** What no change may break. */
  readonly protection: () => Protection;
  /** The file on disk, which nobody has applied yet. */
  readonly candidate: () => Promise<Candidate>;
  /** Another engine's copy of the policy, where others run the engine. */
  readonly engine?: () => EngineCopy | undefined;
  /** Told after an approval: where files are applied by themselves, one of them waited for it. */
  readonly approved: () => void;
}

/** A policy that nobody has to apply. */
export interface BuiltInPolicy {
  readonly text: string;
  /** Names it in decision ids. */
  readonly revision: string;
}

/** What decides about requests now. */
export type PolicyAuthority = 'policy' | 'built-in' | 'none';

export function authorityOf(ports: PolicyPorts, policy: PolicyState): PolicyAuthority {
  if (currentPolicy(policy) !== undefined) return 'policy';
  return ports.builtIn() === undefined ? 'none' : 'built-in';
}

export interface Candidate {
  readonly file: string;
  /** Undefined where there is no such file, or where it cannot be read. */
  readonly text: string | undefined;
  readonly problem: string | undefined;
  readonly autoApply: boolean;
}

/** The policy as it stands at an engine that others run. */
export interface EngineCopy {
  /** Whether a text may come into force. `over`: the etag of what somebody else wrote there, and which may go. */
  admits(text: string, over: string | undefined): Promise<Result<void, Refusal>>;
  /** Writes what is in force; resolves when that is done, or cannot be done now. */
  push(): Promise<EngineStanding>;
  sync(): EngineStanding;
}

export interface EngineStanding {
  readonly state: 'none' | 'same' | 'behind' | 'changed' | 'unknown';
  readonly problem?: string;
  readonly etag?: string;
}
