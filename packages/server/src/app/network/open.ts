import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { Listener } from '../../http/index.ts';
import type { ListenOptions } from '../listen.ts';
import type { Foundation } from '../foundation.ts';
import { doorOpener } from './door-opener.ts';
import { startGateway } from './gateway.ts';
import type { GatewayNode } from './gateway-node.ts';
import type { OutsideEngine } from './engines.ts';
import { startOutside } from './outside.ts';
import type { Network } from './start.ts';
import { startNetwork } from './start.ts';

/** What of a running process the network is. */
export interface NetworkLive {
  readonly deployment: { readonly config: Config };
  listeners: readonly Listener[];
  network?: Network;
  outside?: OutsideEngine;
  gateway?: GatewayNode;
}

/** Starts the engine, or follows the one that others run, and puts this process on the network. err: what is wrong. */
export async function openNetwork(
  foundation: Pick<Foundation, 'options' | 'control' | 'egress' | 'stores'>,
  live: NetworkLive,
  listening: ListenOptions,
): Promise<Result<void, string>> {
  const { options, control, egress, stores } = foundation;
  const { engine = {}, trustedProxies } = live.deployment.config;
  const network = await startNetwork(options.settings, {
    engine,
    control,
    egress: egress.egress,
    logger: options.logger,
    trustedProxies,
    shared: stores.network,
    gateway: () => live.gateway?.facts(),
  });
  if (!network.ok) return network;
  if (network.value !== undefined) {
    live.network = network.value;
    live.listeners = [...live.listeners, ...network.value.plane.listeners];
  }
  const outside = await startOutside(foundation, engine, () => live.gateway?.facts());
  if (!outside.ok) return outside;
  if (outside.value !== undefined) live.outside = outside.value;
  const gateway = await startGateway(options.settings, {
    engine,
    control,
    network: network.value,
    outside: outside.value?.engine,
    logger: options.logger,
    opener: doorOpener(listening, live),
  });
  if (gateway !== undefined) live.gateway = gateway;
  return ok(undefined);
}
