import type { Config } from '@postern/core/contract';
import { refusal } from '@postern/core/errors';
import type { Instance } from '@postern/core/registry';
import { envelopeOf } from '../../control/api/envelope.ts';
import type { NetworkEngine } from '../../control/engine/index.ts';
import type { Identify } from '../../gateway/index.ts';
import type { HttpHandler } from '../../http/index.ts';
import type { Deployment } from '../deployment.ts';
import { createClock } from '../host-facts.ts';
import type { ListenOptions } from '../listen.ts';
import type { Network } from '../network/start.ts';
import type { OutsideEngine } from '../network/engines.ts';
import type { Foundation } from '../foundation.ts';
import type { ControlListeners } from './control-listeners.ts';
import { moveControlListeners } from './control-listeners.ts';
import type { Discovery } from './places.ts';
import type { RegistryPlane } from './plane.ts';

/** What of a running process its registry looks at. */
export interface RegistrySurroundings extends ControlListeners {
  readonly deployment: Deployment;
  readonly network?: Network;
  readonly outside?: OutsideEngine;
}

/** The registry of this process. Configurations bring it and take it away while it runs; without one nothing of it is loaded. */
export class ProcessRegistry implements Discovery {
  readonly #foundation: Foundation;
  readonly #live: () => RegistrySurroundings | undefined;
  #plane: RegistryPlane | undefined;
  /** In force for the plane and its listeners. */
  #config: Config['registry'];
  #listening: ListenOptions | undefined;
  #hadMesh = false;

  constructor(foundation: Foundation, live: () => RegistrySurroundings | undefined) {
    this.#foundation = foundation;
    this.#live = live;
  }

  discover(nodeType: string): readonly Instance[] {
    return this.#plane?.discover(nodeType) ?? [];
  }

  leased(nodeType: string): readonly Instance[] | undefined {
    return this.#plane?.leased(nodeType);
  }

  instancesOfApp(appId: string): readonly Instance[] {
    return this.#plane?.instancesOfApp(appId) ?? [];
  }

  /** Of whichever plane there is when it is asked. */
  handler(identify: Identify): HttpHandler {
    const made = new WeakMap<RegistryPlane, HttpHandler>();
    return (request, reply) => {
      const plane = this.#plane;
      if (plane === undefined) {
        const why = refusal('not_found', `There is no ${request.path} here.`);
        const { status, headers, body } = envelopeOf(why, request.id);
        return reply.send(status, headers, body);
      }
      let handler = made.get(plane);
      if (handler === undefined) made.set(plane, (handler = plane.handler(identify)));
      return handler(request, reply);
    };
  }

  /** Opens or closes the registry itself, as a configuration says. */
  async configure(config: Config): Promise<void> {
    this.#config = config.registry;
    if (config.registry === undefined) {
      const before = this.#plane;
      this.#plane = undefined;
      await before?.close();
      return;
    }
    if (this.#plane !== undefined) return;
    const { options, control, stores, egress } = this.#foundation;
    const { openRegistryPlane } = await import('./plane.ts');
    this.#plane = await openRegistryPlane({
      control,
      leases: stores.leases,
      stateDir: options.settings.stateDir,
      config: () => this.#live()?.deployment.config ?? config,
      desk: () => this.#live()?.network?.desk,
      outside: () => this.#live()?.outside,
      clock: createClock(control.system.nowMs),
      logger: options.logger,
      env: options.settings.env,
      egress: egress.egress,
    });
  }

  /** What the listeners of this process are opened by: their configuration, with the registry that is in force. */
  listensAs(config: Config): Config {
    return { ...config, registry: this.#config };
  }

  /** The process is up: providers follow it, and the network hears of names. */
  begin(listening: ListenOptions): void {
    this.#listening = listening;
    this.#hadMesh = this.#plane !== undefined;
    this.#follow();
  }

  /** Takes a configuration that was not there at the start. Says what of it does not count yet. */
  async reload(config: Config): Promise<readonly string[]> {
    const listening = this.#listening;
    const live = this.#live();
    if (listening === undefined || live === undefined) return [];
    const before = { ...listening, config: this.listensAs(listening.config) };
    const wasThere = this.#plane !== undefined;
    await this.configure(config);
    if (!wasThere) this.#follow();
    const after = { ...listening, config: this.listensAs(listening.config) };
    const problem = await moveControlListeners(before, after, live);
    const isNewToMesh =
      config.registry !== undefined && !this.#hadMesh && config.mesh !== undefined;
    return [
      ...(problem === undefined ? [] : [problem]),
      ...(isNewToMesh ? ['the mesh reaches the new registry after a restart'] : []),
    ];
  }

  async close(): Promise<void> {
    await this.#plane?.close();
  }

  #follow(): void {
    const live = this.#live();
    const plane = this.#plane;
    if (plane === undefined || live === undefined) return;
    plane.follow(() => live.deployment);
    const { network, outside } = live;
    if (network !== undefined) {
      plane.name((names) => network.plane.coordination.name(names));
    } else if (outside !== undefined) void this.#sayNoNames(outside.engine);
  }

  async #sayNoNames({ kind, capabilities }: NetworkEngine): Promise<void> {
    if (capabilities.has('service-names')) return;
    const { cannot } = await import('../../control/engine/index.ts');
    const instead = 'Ask the registry for them: /api/v1/registry/discover/TYPE.';
    const refused = cannot(kind, 'service-names', instead);
    if (!refused.ok)
      this.#foundation.options.logger.info({ note: refused.error.message }, 'registry');
  }
}
