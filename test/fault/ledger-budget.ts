import type { Budget } from '@postern/core/quota';

/** What the killed processes spend from. */
export const killBudget: Budget = { name: 'kills', capacity: 4_000_000_000_000, per: 'all' };
