import type { Breaker } from '@postern/core/routing';
import type { GatewayClock, Provider } from '../ports.ts';
import type { FleetCounters, FleetEvent, TargetState } from './events.ts';
import { newCounters } from './events.ts';
import { plainRules } from './rules.ts';
import { Station } from './station.ts';

export interface FleetOptions {
  readonly clock: GatewayClock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Must not throw. */
  readonly onEvent?: (event: FleetEvent) => void;
}

/** One place of one provider, for `status` and metrics. */
export interface StationView {
  readonly provider: string;
  readonly endpoint: string;
  /** Of the place itself; breakers are each model's own. */
  readonly state: TargetState;
  readonly inFlight: number;
  readonly queued: number;
  readonly breakers: readonly { readonly model: string; readonly breaker: Breaker }[];
}

/**
 * Everything known of the places where models run. It lives as long as the process: a new configuration finds what
 * it knew of the places that are still the same (provider and address).
 */
export interface Fleet {
  readonly counters: Readonly<FleetCounters>;
  readonly random: () => number;
  /** The places of a provider, the best first. */
  endpointsOf(provider: Provider): readonly string[];
  station(provider: Provider, endpoint: string): Station;
  /** The best state among the places of a target. */
  stateOf(provider: Provider, model: string): TargetState;
  states(): readonly StationView[];
  /** Counts a repetition or a step to another target. */
  note(event: 'retry' | 'fallback', provider: Provider, model: string): void;
  /** From now on these providers are checked, and others are forgotten once nothing of theirs runs. */
  watch(providers: readonly Provider[]): void;
  close(): void;
}

const onePlace: readonly string[] = Object.freeze(['']);
/** Beyond this the places that are not in use are forgotten, the oldest first. */
const stationsMax = 4_096;
/** The sooner in this list, the sooner it is asked. */
const preference: readonly TargetState[] = [
  'ready',
  'probation',
  'loading',
  'asleep',
  'unhealthy',
  'open',
];

interface Known {
  readonly provider: string;
  readonly endpoint: string;
  readonly station: Station;
}

export function createFleet(options: FleetOptions): Fleet {
  return new Stations(options);
}

class Stations implements Fleet {
  readonly counters: FleetCounters = newCounters();
  readonly random: () => number;
  readonly #options: FleetOptions;
  readonly #known = new Map<string, Known>();
  readonly #closed = new AbortController();
  /** Where each provider was asked for last, until one is forgotten: the key of a place costs more than its station. */
  #lately = new WeakMap<Provider, { readonly endpoint: string; readonly station: Station }>();
  #watched: { stop(): void }[] = [];

  constructor(options: FleetOptions) {
    this.#options = options;
    this.random = options.random;
  }

  endpointsOf(provider: Provider): readonly string[] {
    const endpoints = provider.endpoints?.() ?? onePlace;
    if (endpoints.length < 2) return endpoints;
    return endpoints
      .map((endpoint) => {
        const station = this.station(provider, endpoint);
        const rank = preference.indexOf(station.stateOf(''));
        return { endpoint, rank, load: station.inFlight + station.queued, draw: this.random() };
      })
      .toSorted((a, b) => a.rank - b.rank || a.load - b.load || a.draw - b.draw)
      .map(({ endpoint }) => endpoint);
  }

  station(provider: Provider, endpoint: string): Station {
    const lately = this.#lately.get(provider);
    const station =
      lately?.endpoint === endpoint ? lately.station : this.#stationAt(provider, endpoint);
    station.rule(provider.rules ?? plainRules);
    return station;
  }

  #stationAt(provider: Provider, endpoint: string): Station {
    const key = JSON.stringify([provider.id, provider.place, endpoint]);
    const known = this.#known.get(key);
    const station = known?.station ?? this.#add(key, provider, endpoint);
    this.#lately.set(provider, { endpoint, station });
    return station;
  }

  #forget(key: string): void {
    this.#known.delete(key);
    this.#lately = new WeakMap();
  }

  stateOf(provider: Provider, model: string): TargetState {
    const endpoints = provider.endpoints?.() ?? onePlace;
    const states = endpoints.map((endpoint) => this.station(provider, endpoint).stateOf(model));
    return bestState(states);
  }

  states(): readonly StationView[] {
    return [...this.#known.values()].map(({ provider, endpoint, station }) => ({
      provider,
      endpoint,
      state: station.stateOf(''),
      inFlight: station.inFlight,
      queued: station.queued,
      breakers: station.troubled(),
    }));
  }

  note(event: 'retry' | 'fallback', provider: Provider, model: string): void {
    if (event === 'fallback') this.counters.fallbacks += 1;
    else {
      this.counters.retries += 1;
      this.#options.onEvent?.({ kind: 'retry', provider: provider.id, endpoint: '', model });
    }
  }

  watch(providers: readonly Provider[]): void {
    for (const each of this.#watched) each.stop();
    this.#watched = [];
    if (this.#closed.signal.aborted) return;
    const kept = new Set<Station>();
    for (const provider of providers) {
      for (const endpoint of provider.endpoints?.() ?? onePlace)
        kept.add(this.station(provider, endpoint));
      this.#look(provider);
      if (provider.rules?.health !== undefined) this.#watched.push(this.#checkOften(provider));
    }
    // What is under way ends with the station that it began with; should the place come back, it begins anew.
    for (const [key, { station }] of this.#known) if (!kept.has(station)) this.#forget(key);
  }

  close(): void {
    for (const each of this.#watched) each.stop();
    this.#watched = [];
    this.#closed.abort();
  }

  /** Whether a machine that may sleep is awake now: `status` should not have to guess. */
  #look(provider: Provider): void {
    if (provider.rules?.wake === undefined) return;
    for (const endpoint of provider.endpoints?.() ?? onePlace)
      void this.station(provider, endpoint).wakefulness.look(provider, endpoint);
  }

  #checkOften(provider: Provider): { stop(): void } {
    const { clock, random } = this.#options;
    let isStopped = false;
    let timer: { clear(): void } | undefined;
    const again = (): void => {
      const intervalMs = provider.rules?.health?.intervalMs ?? 0;
      // Not all at the same moment, and not always together.
      timer = clock.after(Math.ceil(intervalMs * (0.9 + 0.2 * random())), () => void run());
    };
    const run = async (): Promise<void> => {
      const endpoints = provider.endpoints?.() ?? onePlace;
      await Promise.all(
        endpoints.map((endpoint) => this.station(provider, endpoint).check(provider, endpoint)),
      );
      if (!isStopped && !this.#closed.signal.aborted) again();
    };
    again();
    return {
      stop: () => {
        isStopped = true;
        timer?.clear();
      },
    };
  }

  #add(key: string, provider: Provider, endpoint: string): Station {
    const { clock, random, onEvent } = this.#options;
    const place = { provider: provider.id, endpoint };
    const station = new Station({
      clock,
      random,
      counters: this.counters,
      closed: this.#closed.signal,
      tell: (event) => onEvent?.({ ...event, ...place }),
    });
    this.#known.set(key, { ...place, station });
    if (this.#known.size > stationsMax) this.#forgetIdle();
    return station;
  }

  #forgetIdle(): void {
    for (const [key, { station }] of this.#known) {
      if (this.#known.size <= stationsMax) return;
      if (station.isIdle) this.#forget(key);
    }
  }
}

export function bestState(states: readonly TargetState[]): TargetState {
  return preference.find((state) => states.includes(state)) ?? 'unhealthy';
}
