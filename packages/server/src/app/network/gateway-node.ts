import type { Result, Secret } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type {
  LocalApiPlace,
  LocalNode,
  RememberingWhois,
} from '../../adapters/identity-serve/index.ts';
import {
  askLocalNode,
  createLocalApiWhois,
  joinLocalNode,
  watchLocalApi,
} from '../../adapters/identity-serve/index.ts';
import type { Daemon } from '../../adapters/tailnet-daemon/index.ts';
import type { GatewayFacts } from '../../control/network/index.ts';
import type { Whois } from '../../gateway/index.ts';
import type { DoorOpener } from './gateway-doors.ts';
import { GatewayDoors } from './gateway-doors.ts';
import { type Choosing, choosePlace, isUsable } from './gateway-place.ts';

export interface GatewayNodeOptions extends Omit<Choosing, 'mayLogIn'> {
  /** What the node calls itself when we log it in. */
  readonly name: string;
  readonly port: number;
  /** Makes a single-use key of the embedded engine for this node. */
  readonly makeKey: (() => Promise<Result<Secret, string>>) | undefined;
  readonly opener: DoorOpener;
}

/** This process on the private network. */
export interface GatewayNode {
  readonly whois: Whois;
  /** Our addresses on the mesh; those of before while the daemon does not answer, so that callers are told so. */
  addresses(): readonly string[];
  facts(): GatewayFacts;
  close(): Promise<void>;
}

const retryMs = 2_000;
/** While it waits for something that no news announces. */
const lookMs = 5_000;
/** News come in bursts: one look for all of them. */
const settleMs = 100;
/** A join takes seconds, and may be lost; a key that did not help is no reason to make one a second. Doubles until it helps. */
const joinAgainMs = 10_000;
const joinAgainMsMax = 60_000;

export function startGatewayNode(options: GatewayNodeOptions): GatewayNode {
  const node = new Node(options);
  node.begin();
  return node;
}

class Node implements GatewayNode {
  readonly #options: GatewayNodeOptions;
  readonly #ending = new AbortController();
  readonly #doors: GatewayDoors;
  #place: LocalApiPlace | undefined;
  #daemon: Daemon | undefined;
  #memory: RememberingWhois | undefined;
  #isWatched = false;
  #facts: GatewayFacts = { state: 'joining', addresses: [] };
  #joinedAtMs = Number.NEGATIVE_INFINITY;
  #joinAgainMs = joinAgainMs;
  #looking: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: GatewayNodeOptions) {
    this.#options = options;
    const { opener, port, server, join } = options;
    const maySetServe = server !== undefined || join === 'start';
    this.#doors = new GatewayDoors(opener, { port, maySetServe });
  }

  readonly whois: Whois = (address) => {
    if (this.#memory !== undefined && this.#facts.state !== 'off')
      return this.#memory.whois(address);
    return Promise.resolve(ok(undefined));
  };

  addresses(): readonly string[] {
    return this.#facts.addresses;
  }

  facts(): GatewayFacts {
    return this.#facts;
  }

  begin(): void {
    this.#running = this.#run().catch((fault: unknown) => {
      this.#options.logger.error({ err: fault }, 'fault');
    });
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await this.#looking;
    await this.#daemon?.stop();
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const chosen = await choosePlace(this.#options, this.#daemon);
      if (chosen.ok) {
        this.#daemon = chosen.value.daemon ?? this.#daemon;
        await this.#follow(chosen.value.place);
      } else {
        this.#tell({ state: 'off', addresses: [], problem: chosen.error });
        await this.#doors.close();
      }
      await this.#pause(retryMs);
    }
  }

  /** Stays with one daemon until it is gone. */
  async #follow(place: LocalApiPlace): Promise<void> {
    this.#place = place;
    this.#memory = createLocalApiWhois({
      place,
      monotonicMs: () => performance.now(),
      isWatched: () => this.#isWatched,
    });
    const leaving = new AbortController();
    const signal = AbortSignal.any([this.#ending.signal, leaving.signal]);
    const timer = setInterval(() => this.#look(leaving), lookMs);
    this.#look(leaving);
    await watchLocalApi(
      place,
      () => {
        this.#isWatched = true;
        this.#memory?.forget();
        this.#look(leaving);
      },
      signal,
    );
    clearInterval(timer);
    this.#isWatched = false;
    this.#memory.forget();
    await this.#looking;
    if (this.#facts.state === 'up' && !this.#ending.signal.aborted) {
      const problem = 'the local tailscaled does not answer';
      this.#tell({ ...this.#facts, state: 'down', problem });
    }
  }

  /** Looks soon, once however often it is asked. `leaving` ends the stay with this daemon. */
  #look(leaving: AbortController): void {
    this.#looking ??= this.#pause(settleMs)
      .then(() => (this.#ending.signal.aborted ? undefined : this.#reconcile(leaving)))
      .catch((fault: unknown) => this.#options.logger.error({ err: fault }, 'fault'))
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #reconcile(leaving: AbortController): Promise<void> {
    const place = this.#place;
    if (place === undefined) return;
    const asked = await askLocalNode(place);
    if (!asked.ok) {
      if (this.#facts.state === 'up') {
        this.#tell({ ...this.#facts, state: 'down', problem: asked.error });
      }
      return;
    }
    const node = asked.value;
    // Somebody may have logged it in elsewhere meanwhile.
    const usable = await isUsable(place, node, this.#options, this.#daemon);
    if (!usable.ok) {
      this.#tell({ state: 'off', addresses: [], problem: usable.error });
      await this.#doors.close();
      leaving.abort();
      return;
    }
    if (node.state === 'Running') await this.#serve(place, node);
    else await this.#wait(place, node);
  }

  async #serve(place: LocalApiPlace, node: LocalNode): Promise<void> {
    this.#joinAgainMs = joinAgainMs;
    const opened = await this.#doors.open(place, node);
    this.#tell({
      state: 'up',
      mode: opened.mode,
      name: node.name,
      addresses: node.addresses,
      ...(opened.problem === undefined ? {} : { problem: opened.problem }),
    });
  }

  /** It is not on the network: log it in where that is ours to do. */
  async #wait(place: LocalApiPlace, node: LocalNode): Promise<void> {
    const { makeKey, server, name, join } = this.#options;
    const waiting = { state: 'joining', addresses: [] } as const;
    if (node.state === 'NeedsMachineAuth') {
      return this.#tell({ ...waiting, problem: 'the node waits for approval (postern node list)' });
    }
    if (node.state !== 'NeedsLogin') {
      const problem = `the local tailscaled is ${node.state}`;
      return this.#tell({ state: 'down', addresses: [], problem });
    }
    if (join !== 'start' || makeKey === undefined || server === undefined) {
      const problem = 'the local tailscaled is not logged in (tailscale up)';
      return this.#tell({ ...waiting, problem });
    }
    const nowMs = performance.now();
    if (nowMs - this.#joinedAtMs < this.#joinAgainMs) return;
    if (Number.isFinite(this.#joinedAtMs))
      this.#joinAgainMs = Math.min(joinAgainMsMax, this.#joinAgainMs * 2);
    this.#joinedAtMs = nowMs;
    this.#tell(waiting);
    const key = await makeKey();
    const joined = key.ok
      ? await joinLocalNode(place, { server, authKey: key.value, hostname: name })
      : key;
    if (!joined.ok) this.#tell({ ...waiting, problem: joined.error });
  }

  /** What changed goes to the log, once. */
  #tell(facts: GatewayFacts): void {
    const { logger } = this.#options;
    const before = this.#facts;
    this.#facts = facts;
    const isNew = before.state !== facts.state || before.problem !== facts.problem;
    const { state, mode, name, addresses, problem } = facts;
    if (!isNew && before.addresses.join() === addresses.join()) return;
    if (problem !== undefined) logger.warn({ state, problem }, 'gateway on the network');
    else if (state === 'up') logger.info({ mode, name, addresses }, 'gateway on the network');
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#ending;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
    });
  }
}
