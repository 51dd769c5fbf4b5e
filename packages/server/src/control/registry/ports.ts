import type { Result, Secret } from '@postern/core/base';
import type { Prefix } from '@postern/core/base/netip';
import type { Refusal } from '@postern/core/errors';
import type { Lease } from '@postern/core/registry';
import type { Rotation } from '@postern/core/state';
import type { Control } from '../control.ts';
import type { NetworkEngine } from '../engine/index.ts';
import type { StoreFailure } from '../store.ts';
import type { HealthRule, Probe } from './health.ts';

/** What happened to leases since the last write. */
export interface LeaseBatch {
  readonly renewed: readonly Lease[];
  readonly gone: readonly string[];
}

/** Where leases outlive the process. They are no part of the journal: thousands change every second. */
export interface LeaseStore {
  loadLeases(): Promise<Result<readonly Lease[], StoreFailure>>;
  /** All of it or nothing; resolves when it survives a loss of power. */
  writeLeases(batch: LeaseBatch): Promise<Result<void, StoreFailure>>;
}

/** The secret that the members of a type share in an epoch. */
export type GroupKey = (nodeType: string, epoch: number) => Promise<Result<Secret, Refusal>>;

export interface RegistryRules {
  readonly rotation: Rotation;
  /** Where instances may be: requests will be sent there. */
  readonly networks: readonly Prefix[];
  /** App ids, lower case, that may register and discover. Empty: none. */
  readonly allowedApps: readonly string[];
  /** Of the keys by which registered machines join the network. */
  readonly tags: readonly string[];
  /** How instances of a type are looked at; `*` is every other type. Empty: nobody is. */
  readonly health: ReadonlyMap<string, HealthRule>;
  /** What clients are told to join; absent: the engine's own address. */
  readonly serverUrl?: string;
}

export interface RegistryOptions {
  readonly control: Control;
  readonly leases: LeaseStore;
  readonly groupKey: GroupKey;
  readonly rules: () => RegistryRules;
  /** Absent: instances are never looked at. */
  readonly probe?: Probe;
  readonly engine: () => NetworkEngine | undefined;
  readonly after: (ms: number, run: () => void) => { clear(): void };
  readonly onFault: (fault: unknown) => void;
}
