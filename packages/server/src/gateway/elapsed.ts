import type { HttpRequest } from '../http/index.ts';
import type { GatewayClock } from './ports.ts';

/** A clock that never steps back, as fine as this one has it. */
export function monotonicMs(clock: GatewayClock): number {
  return clock.monotonicMs === undefined ? clock.nowMs() : clock.monotonicMs();
}

/** How long ago a request came. The wall clock may be set back while it runs; a histogram's sum must never fall. */
export function sinceReceivedMs({ receivedAtMs }: HttpRequest, nowMs: number): number {
  return Math.max(0, nowMs - receivedAtMs);
}
