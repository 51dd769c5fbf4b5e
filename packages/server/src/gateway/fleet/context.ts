import type { CallSignal } from '../../http/index.ts';
import type { GatewayClock, Provider } from '../ports.ts';
import type { FleetCounters, FleetEvent } from './events.ts';

type Told<E> = E extends FleetEvent ? Omit<E, 'provider' | 'endpoint'> : never;

/** What the parts of one station share. */
export interface StationContext {
  readonly clock: GatewayClock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly counters: FleetCounters;
  /** The process ends, or nothing refers to this station any more. */
  readonly closed: AbortSignal;
  readonly tell: (event: Told<FleetEvent>) => void;
}

/** Waits, unless the signal is aborted first; says whether the whole time has passed. */
export function pause(clock: GatewayClock, ms: number, signal: CallSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve(false);
      return;
    }
    const end = (passed: boolean): void => {
      timer.clear();
      signal.removeEventListener('abort', onAbort);
      resolve(passed);
    };
    const onAbort = (): void => end(false);
    const timer = clock.after(ms, () => end(true));
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Does it answer? By a check of its own where it has one, else by its list of models. */
export async function answers(
  provider: Provider,
  endpoint: string,
  signal: AbortSignal,
): Promise<boolean> {
  const found =
    provider.check === undefined
      ? await provider.list(signal)
      : await provider.check(endpoint, signal);
  return found.ok;
}
