import type { Result } from '@postern/core/base';
import type { StoreConfig } from '@postern/core/contract';
import type { Refusal } from '@postern/core/errors';
import type { Control, Role, Store } from '../control/index.ts';
import type { LeaseStore } from '../control/registry/index.ts';
import type { LimitStore, SliceBank } from '../gateway/money/index.ts';
import type { Logger } from '../observe/index.ts';
import type { SharedNetwork } from './network/turn.ts';

/** One thing that readiness names. */
export interface StoreCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
}

/** Where this process keeps its state, its money and its counts. */
export interface Stores {
  readonly store: Store;
  readonly bank: SliceBank;
  /** Of nodes of the registry; where several share a store, of whoever leads. */
  readonly leases: LeaseStore;
  /** Of several gateways together; absent: this process counts alone. */
  readonly limits?: LimitStore;
  /** After how long another process that is silent is taken for gone; 0 where there is no other. */
  readonly staleAfterMs: number;
  /** For people, where several share a store. */
  readonly name?: string;
  /** What gateways that coordinate one network by turns share; absent: this one does it alone. */
  readonly network?: SharedNetwork;
  role(): Role;
  /** Keeps the state of a process that shares it up to date, and tells when it begins to lead. */
  follow(control: Control, onLead: () => void): void;
  checks(): readonly StoreCheck[];
  /** Refused while this process cannot know who was revoked, unless the configuration says to serve then. */
  admits(whenDown: 'refuse' | 'serve'): Result<void, Refusal>;
}

export interface StoresOptions {
  readonly stateDir: string;
  readonly config: StoreConfig | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  readonly newId: () => string;
  readonly logger: Logger;
}
