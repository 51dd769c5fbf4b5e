import { ok, Secret } from '@postern/core/base';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLazyEgress } from '../../packages/server/src/app/egress.ts';
import type { NetworkEngine } from '../../packages/server/src/control/engine/index.ts';
import type { EngineUnderTest } from './contract.ts';
import { ControlClient, newMachine } from '../tailnet/driver/control-client.ts';

/** What adapters need: the one way out, clocks, sleep. */
export function surroundings() {
  const way = createLazyEgress();
  return {
    egress: way.egress,
    close: () => way.close(),
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    wait: (ms: number) => sleep(ms),
  };
}

/** A secret as adapters read it. */
export function secretOf(text: string) {
  return () => Promise.resolve(ok(new Secret(text)));
}

/** Machines that speak the real protocol, without a network device. */
export class Machines {
  readonly #open: ControlClient[] = [];
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Registers; resolves when its engine knows what it offers to route. */
  readonly join = async (
    key: string,
    { hostname, routes = [] }: Parameters<EngineUnderTest['join']>[1],
    engine?: NetworkEngine,
  ): Promise<void> => {
    const client = await ControlClient.connect({ url: this.#url, machine: newMachine(hostname) });
    this.#open.push(client);
    const answer = await client.register({ authKey: key });
    if (answer.Error !== undefined && answer.Error !== '') throw new Error(answer.Error);
    if (answer.MachineAuthorized !== true) throw new Error('not authorized');
    client.follow();
    await client.until((map) => map.self !== undefined);
    const hostinfo = { Hostname: hostname, RoutableIPs: routes };
    await client.update({ endpoints: [`192.0.2.1:${41_000 + this.#open.length}`], hostinfo });
    if (engine === undefined) return;
    for (let tries = 0; tries < 100; tries += 1) {
      const listed = await engine.listDevices();
      const found = listed.ok && listed.value.find((each) => each.hostname === hostname);
      if (found !== undefined && found !== false && found.advertisedRoutes.length === routes.length)
        return;
      await sleep(50);
    }
  };

  close(): void {
    for (const client of this.#open) client.close();
  }
}
