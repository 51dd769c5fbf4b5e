import type { ProviderConfig } from '@postern/core/contract';
import type { ProviderRules } from '../gateway/index.ts';
import type { WakerSurroundings } from './wakers.ts';
import { wakerOf } from './wakers.ts';

/** The fields of the configuration that say how a provider is used. */
export type RoutedConfig = Pick<
  Exclude<ProviderConfig, { kind: 'builtin' }>,
  'maxConcurrent' | 'queue' | 'breaker' | 'retry' | 'health' | 'wake'
>;

export function rulesOf(config: RoutedConfig, surroundings: WakerSurroundings): ProviderRules {
  const { wake } = config;
  return {
    maxConcurrent: config.maxConcurrent,
    queue: config.queue,
    breaker: config.breaker === false ? undefined : config.breaker,
    retry: config.retry,
    health: config.health,
    wake:
      wake === undefined
        ? undefined
        : {
            waker: wakerOf(wake.by, surroundings),
            readyMs: wake.readyMs,
            pollMs: wake.pollMs,
            again: wake.again,
            warmUp: wake.warmUp,
            whileAsleep: wake.whileAsleep,
          },
  };
}
