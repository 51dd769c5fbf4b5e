/** What a call needs of an AbortSignal; every AbortSignal is one. */
export interface CallSignal {
  readonly aborted: boolean;
  addEventListener(
    type: 'abort',
    listener: () => void,
    options?: { readonly once?: boolean },
  ): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A signal of our own: two fields, where an AbortController is an event target with all that belongs to one. */
export class Leaving implements CallSignal {
  aborted = false;
  #listeners: (() => void)[] | undefined;

  /** Once for all: whoever listens is told and forgotten. */
  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    // One after the other off the list: whom one of them takes off before their turn is not told.
    for (let next = this.#listeners?.shift(); next !== undefined; next = this.#listeners?.shift()) {
      next();
    }
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.aborted) return;
    if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const listeners = this.#listeners;
    if (listeners === undefined) return;
    const last = listeners.length - 1;
    if (listeners[last] === listener) {
      listeners.pop();
      return;
    }
    const at = listeners.indexOf(listener);
    if (at !== -1) listeners.splice(at, 1);
  }
}

/** For what takes nothing but the platform's own. */
export function abortSignalOf(signal: CallSignal): AbortSignal {
  if (signal instanceof AbortSignal) return signal;
  const abort = new AbortController();
  if (signal.aborted) abort.abort();
  else signal.addEventListener('abort', () => abort.abort(), { once: true });
  return abort.signal;
}
