import { setFlagsFromString } from 'node:v8';
import { collectThoroughly } from './collect.ts';
import { loopMeter } from './loop-meter.ts';

/** How often the load is looked at. */
const lookMs = 60_000;
/** Part of a minute in which the loop works, from which on somebody calls: what it does by itself is a tenth of that. */
const workFrom = 0.01;
/** Agents pause for minutes between two bursts; what comes later is another day. */
const quietLooksMax = 5;

/**
 * Keeps the memory that serving took until nobody has called for five minutes. Called before the start. The engine's own
 * way is to take it back eight seconds after the last call, and the shapes of all objects of requests with it, so that the
 * code compiled for them is of no use: a second of calls after a pause of ten was served at 12,000 to 17,000 a second in
 * place of 26,000 to 31,000. What it costs is 120 MB that are kept meanwhile.
 */
export function returnMemoryWhenQuiet(): void {
  setFlagsFromString('--memory-reducer-gc-count=0');
  const quiet = new QuietAfterWork();
  const busyPart = loopMeter();
  setInterval(() => {
    if (quiet.look(busyPart())) collectThoroughly();
  }, lookMs).unref();
}

/** Tells once that it has been quiet for long enough since there was work. */
export class QuietAfterWork {
  #hasWorked = false;
  #quietLooks = 0;

  /** `busyPart`: of the time since the last look, 0 to 1. */
  look(busyPart: number): boolean {
    const works = busyPart >= workFrom;
    this.#hasWorked ||= works;
    this.#quietLooks = works ? 0 : this.#quietLooks + 1;
    if (!this.#hasWorked || this.#quietLooks < quietLooksMax) return false;
    this.#hasWorked = false;
    return true;
  }
}
