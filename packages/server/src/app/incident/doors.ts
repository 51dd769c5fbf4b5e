import { networkInterfaces } from 'node:os';
import process from 'node:process';
import { err, ok } from '@postern/core/base';
import { findLocalApi, turnFunnelOff } from '../../adapters/identity-serve/index.ts';
import { knock } from '../../adapters/operate-http/index.ts';
import type { Egress, Listener } from '../../http/index.ts';
import { isPortOpen } from '../../http/index.ts';
import type { Doors, Known } from '../../ops/index.ts';
import { exposureOf, isExposed } from '../../ops/index.ts';
import type { Doorkeeper } from '../containment/doorkeeper.ts';
import { ownListeners } from '../check/instance.ts';
import { daemonOf, listeningSockets } from '../check/machine.ts';
import type { Sight } from '../check/sight.ts';

export interface DoorSources {
  readonly listeners: () => readonly Listener[];
  readonly doorkeeper: Pick<Doorkeeper, 'turnsAway' | 'openFrom'>;
  readonly egress: Egress;
  readonly sight: Sight;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The doors of this gateway, as an incident shuts and tries them. */
export function doorsOf({ listeners, doorkeeper, egress, sight, env }: DoorSources): Doors {
  const own = (): ReturnType<typeof ownListeners> => ownListeners(listeners());
  return {
    listeners: own,
    sockets: () => listeningSockets(sight),
    answers: (host, port) => isPortOpen(host, port),
    outsideAddresses: () =>
      Object.values(networkInterfaces())
        .flatMap((list) => list ?? [])
        .map(({ address }) => address)
        .filter((address) => isExposed(address) && !address.startsWith('fe80:')),
    knock: async (credential) => {
      const at = own().find(
        ({ kind, host }) => kind === 'gateway' && host !== undefined && isCallable(host),
      );
      if (at === undefined) return err('no gateway listener is on loopback');
      const url = new URL(`http://${at.address.replace('0.0.0.0:', '127.0.0.1:')}/v1/models`);
      return knock({ url, credential, as: 'bearer', egress });
    },
    knockAt: async (base, credential) =>
      URL.canParse(base)
        ? knock({ url: new URL('/v1/models', base), credential, as: 'bearer', egress })
        : err(`${base} is no URL`),
    turnsAway: (address) =>
      doorkeeper.turnsAway({
        transport: 'tcp',
        address,
        port: undefined,
        localAddress: undefined,
        localPort: undefined,
      }),
    openFrom: (prefix) => doorkeeper.openFrom(prefix),
    funnels: async (): Promise<Known<readonly string[]>> => {
      const found = await daemonOf(sight);
      return found.ok ? ok(found.value?.funnels ?? []) : found;
    },
    funnelOff: async () => {
      const place = await findLocalApi(process.platform, env);
      return place === undefined ? ok([]) : turnFunnelOff(place);
    },
  };
}

function isCallable(host: string): boolean {
  const exposure = exposureOf(host);
  return exposure === 'loopback' || host === '0.0.0.0';
}
