import type { Result } from '@postern/core/base';
import { ok, onceUnlessItFails } from '@postern/core/base';
import type { EngineSettings } from '@postern/core/contract';
import type { NetworkEngine } from '../../control/engine/index.ts';
import type { GatewayFacts } from '../../control/network/index.ts';
import type { Control, Requester } from '../../control/index.ts';
import type { Whois } from '../../gateway/index.ts';
import { createClock } from '../host-facts.ts';
import type { Foundation } from '../foundation.ts';
import type { OutsideEngine } from './engines.ts';
import type { Network } from './start.ts';

/** Starts following the engine that others run. What speaks with it is loaded only where one is configured. */
export async function startOutside(
  { options, control, egress }: Pick<Foundation, 'options' | 'control' | 'egress'>,
  engine: EngineSettings,
  gateway: () => GatewayFacts | undefined,
): Promise<Result<OutsideEngine | undefined, string>> {
  if ((engine.kind ?? 'embedded') === 'embedded') return ok(undefined);
  const { followOutside } = await import('./engines.ts');
  const { settings, logger } = options;
  return followOutside({
    engine,
    url: settings.url,
    stateDir: settings.stateDir,
    env: settings.env,
    egress: egress.egress,
    nowMs: control.system.nowMs,
    control,
    clock: createClock(control.system.nowMs),
    logger,
    gateway,
  });
}

const byGateway: Requester = Object.freeze({
  actor: Object.freeze({ principal: 'system:gateway', channel: 'system' }),
});

/** Who calls from behind a subnet router, by whichever engine there is. Loaded with the first such caller. */
export function routedWhois(
  control: Control,
  live: () => { readonly network?: Network; readonly outside?: OutsideEngine } | undefined,
): Whois {
  const loaded = onceUnlessItFails(async (): Promise<Whois> => {
    const [{ createRoutedWhois }, { embeddedEngine }] = await Promise.all([
      import('./routed.ts'),
      import('../../control/engine/index.ts'),
    ]);
    const engine = (): NetworkEngine | undefined => {
      const { network, outside } = live() ?? {};
      if (network === undefined) return outside?.engine;
      return embeddedEngine(control, network.desk, byGateway);
    };
    const { nowMs } = control.system;
    return createRoutedWhois({ engine, nowMs, monotonicMs: () => performance.now() });
  });
  return async (address) => {
    const whois = await loaded();
    return whois(address);
  };
}
