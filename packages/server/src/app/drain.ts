import type { Listener } from '../http/index.ts';

/** The two ways in which a process ends: in order, or at once. */
export interface Drain {
  /** True from the first signal on: /readyz says no. */
  readonly isDraining: boolean;
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
}

export function createDrain(options: DrainOptions): Drain {
  let isDraining = false;
  let finished: Promise<void> | undefined;
  let shorten = (): void => undefined;

  async function drain(): Promise<void> {
    const hurried = new Promise<void>((resolve) => {
      shorten = resolve;
    });
    await Promise.race([sleep(options.delayMs()), hurried]);
    const closing = Promise.all(
      options.listeners().map((listener) => listener.close(options.graceMs())),
    );
    const hurriedClosing = hurried.then(() =>
      Promise.all(options.listeners().map((listener) => listener.close(0))),
    );
    await Promise.race([closing, hurriedClosing]);
    await closing;
  }

  return {
    get isDraining() {
      return isDraining;
    },
    begin() {
      if (finished !== undefined) {
        shorten();
        return finished;
      }
      isDraining = true;
      finished = drain();
      return finished;
    },
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
