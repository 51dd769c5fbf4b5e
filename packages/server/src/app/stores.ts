import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import { openSqliteStore } from '../adapters/store-sqlite/index.ts';
import type { Role, StoreFailure } from '../control/index.ts';
import type { Stores, StoresOptions } from './store-set.ts';

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
