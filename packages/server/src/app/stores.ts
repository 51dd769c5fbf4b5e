import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { StoreConfig } from '@postern/core/contract';
import type { Refusal } from '@postern/core/errors';
import type { Control, Role, Store, StoreFailure } from '../control/index.ts';
import type { LeaseStore } from '../control/registry/index.ts';
import { openSqliteStore } from '../adapters/store-sqlite/index.ts';
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

/** Opens what the configuration names; by default one file in the state folder. A failure is a sentence for the operator. */
export async function openStores(options: StoresOptions): Promise<Result<Stores, StoreFailure>> {
  const own = await openSqliteStore(options.stateDir);
  if (!own.ok) return own;
  if (options.config !== undefined) {
    // Drivers of shared stores are loaded by gateways that share.
    const { openSharedStores } = await import('./shared-stores.ts');
    return openSharedStores(own.value, options.config, options);
  }
  return ok({
    store: own.value,
    bank: own.value.bank,
    leases: own.value.leases,
    staleAfterMs: 0,
    role: () => alone,
    follow: () => undefined,
    checks: () => [],
    admits: () => ok(undefined),
  });
}

const alone: Role = Object.freeze({ kind: 'alone' });
