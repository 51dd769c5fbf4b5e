import type { Config } from '@postern/core/contract';
import type { Identify } from '../gateway/index.ts';
import type { AuditTrail } from './audit.ts';
import type { Stores } from './store-set.ts';

/** What cannot be recorded does not happen. Operators are recorded from space that is kept for them. */
export function recordable(identify: Identify, audit: Pick<AuditTrail, 'admits'>): Identify {
  return (request) => {
    const admitted = audit.admits();
    return admitted.ok ? identify(request) : admitted;
  };
}

/** Who was revoked must be known. Operators come in by another way, and see why nobody else does. */
export function known(
  identify: Identify,
  stores: Pick<Stores, 'admits'>,
  config: () => Config,
): Identify {
  return (request) => {
    const admitted = stores.admits(config().limits.whenStoreDown);
    return admitted.ok ? identify(request) : admitted;
  };
}
