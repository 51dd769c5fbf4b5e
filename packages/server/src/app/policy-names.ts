import type { Config } from '@postern/core/contract';
import type { KnownNames } from '@postern/core/policy/report';

/** Limits and budgets of a configuration, which grants may name. */
export function namesOf({ limits, budgets }: Config): KnownNames {
  return {
    limits: new Set(Object.keys(limits.named)),
    budgets: new Set(Object.keys(budgets)),
  };
}
