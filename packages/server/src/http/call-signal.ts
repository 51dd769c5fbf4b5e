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

/**
 * A signal of our own: three fields, where an AbortController is an event target with all that belongs to one. Nearly every
 * call has one listener, who needs no list.
 */
export class Leaving implements CallSignal {
  aborted = false;
  #first: (() => void) | undefined;
  /** Those after the first; only there while there is a first. */
  #others: (() => void)[] | undefined;

  /** Once for all: whoever listens is told and forgotten. */
  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    // One after the other off the list: whom one of them takes off before their turn is not told.
    for (let next = this.#takeFirst(); next !== undefined; next = this.#takeFirst()) next();
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.aborted) return;
    if (this.#first === undefined) this.#first = listener;
    else (this.#others ??= []).push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    if (this.#first === listener) {
      this.#takeFirst();
      return;
    }
    const others = this.#others;
    if (others === undefined) return;
    const last = others.length - 1;
    if (others[last] === listener) {
      others.pop();
      return;
    }
    const at = others.indexOf(listener);
    if (at !== -1) others.splice(at, 1);
  }

  #takeFirst(): (() => void) | undefined {
    const first = this.#first;
    this.#first = this.#others?.shift();
    return first;
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
