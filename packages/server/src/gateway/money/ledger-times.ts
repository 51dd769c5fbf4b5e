import type { GatewayClock } from '../ports.ts';

/** How often what was settled is reported and what lies idle is given back. */
export const tickMs = 1_000;
/** An account that nobody pays from for this long gives its idle money back. */
export const idleMs = 3_000;
/** How long a request waits for other processes to give back what lies idle, from when they were first asked. */
export const recallMsMax = 1_500;
/** And how often it asks at least: where the bank is slow, so are the others. */
export const recallsMin = 5;
const recallPollMs = 25;
export const retryMsMin = 100;
export const retryMsMax = 5_000;

/** Until the next look at what others gave back. */
export function pause(clock: GatewayClock): Promise<void> {
  return new Promise((resolve) => {
    clock.after(recallPollMs, resolve);
  });
}
