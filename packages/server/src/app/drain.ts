import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Listener } from '../http/index.ts';

/** The two ways in which a process ends: in order, or at once. */
export interface Drain {
  /** True from the first signal on: /readyz says no. */
  readonly isDraining: boolean;
  /** Refuses what arrives on kept connections once the listeners are closed. */
  admits(): Result<undefined, Refusal>;
  /**
   * Goes on accepting for `delayMs`, then closes the listeners and lets open answers run for at most `graceMs`. A
   * second call cuts what is still open.
   */
  begin(): Promise<void>;
}

export interface DrainOptions {
  readonly listeners: () => readonly Listener[];
  readonly delayMs: () => number;
  readonly graceMs: () => number;
  /** Aborted when open answers have had their time: each then ends with an error of its own format. */
  readonly cut: AbortController;
}

/** How long answers that are cut have to say so before their connections are reset. */
const lastWordsMs = 1_000;

export function createDrain(options: DrainOptions): Drain {
  const hurry = new AbortController();
  let phase: 'open' | 'draining' | 'closing' = 'open';
  let finished: Promise<void> | undefined;

  function closeAll(graceMs: number): Promise<unknown> {
    return Promise.all(options.listeners().map((listener) => listener.close(graceMs)));
  }

  async function drain(): Promise<void> {
    phase = 'draining';
    await sleep(options.delayMs(), hurry.signal);
    phase = 'closing';
    const graceMs = options.graceMs();
    const closed = closeAll(graceMs + lastWordsMs);
    const done = new AbortController();
    const cutting = sleep(graceMs, AbortSignal.any([hurry.signal, done.signal])).then(async () => {
      if (done.signal.aborted) return;
      options.cut.abort();
      await sleep(lastWordsMs, done.signal);
      if (!done.signal.aborted) await closeAll(0);
    });
    await closed;
    done.abort();
    await cutting;
  }

  return {
    get isDraining() {
      return phase !== 'open';
    },
    admits: () =>
      phase === 'closing' ? refuse('draining', 'Postern is shutting down.') : ok(undefined),
    begin() {
      if (finished === undefined) finished = drain();
      else hurry.abort();
      return finished;
    },
  };
}

/** Ends early where the signal says so; its timer never outlives it. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', settle);
      resolve();
    };
    const timer = setTimeout(settle, ms);
    if (signal.aborted) settle();
    else signal.addEventListener('abort', settle);
  });
}
