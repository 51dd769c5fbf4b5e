import { refuse } from '@postern/core/errors';
import type { Provider, ProviderCall } from '../../gateway/index.ts';
import { Leaving } from '../../http/index.ts';

/** How often it is looked who is still there: what a caller waits beyond the lease. */
const lookMsDefault = 100;

/** Base URLs of all that have a lease, well or not; undefined where nobody can say, because there is no registry. */
export type Members = () => readonly string[] | undefined;

/**
 * Calls that wait for the first byte of a machine. One that loses its power closes no connection, and what was written to a
 * connection that was kept would be waited for as long as for a long prompt: the end of the lease ends it, so that the next
 * target is asked. An answer that has begun goes on, since whoever gives it is there.
 */
export class Departures {
  readonly #members: Members;
  readonly #lookMs: number;
  readonly #waiting = new Map<Leaving, string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(members: Members, lookMs = lookMsDefault) {
    this.#members = members;
    this.#lookMs = lookMs;
  }

  async call(
    provider: Pick<Provider, 'call'>,
    call: ProviderCall,
    endpoint: string,
  ): Promise<Awaited<ReturnType<Provider['call']>>> {
    const signal = new Leaving();
    const leave = (): void => signal.abort();
    if (call.signal.aborted) leave();
    // It stays for the answer: the caller may go while that comes.
    else call.signal.addEventListener('abort', leave, { once: true });
    this.#attend(signal, endpoint);
    try {
      const sent = await provider.call({ ...call, endpoint, signal });
      if (!signal.aborted || call.signal.aborted) return sent;
      if (sent.ok) sent.value.cancel();
      return refuse('upstream_unavailable', 'The machine left the registry before it answered.');
    } finally {
      this.#waiting.delete(signal);
    }
  }

  #attend(signal: Leaving, endpoint: string): void {
    this.#waiting.set(signal, endpoint);
    this.#timer ??= setInterval(() => this.#look(), this.#lookMs).unref();
  }

  #look(): void {
    const members = this.#waiting.size === 0 ? undefined : this.#members();
    if (members !== undefined) {
      const there = new Set(members);
      for (const [signal, endpoint] of this.#waiting) if (!there.has(endpoint)) signal.abort();
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
